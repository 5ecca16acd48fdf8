"""The catalogue of `benchmarks.tunes`: which songs there are, played, analysed and kept.

Songs have numbers: the first are those that everybody knows, the others are made from seeds.
"""

import hashlib
import inspect
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from multiprocessing import get_context
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from tqdm import tqdm

from apps.ops.demo import melody
from audiosearch.engine.tunes import (
    analysis,
    contour,
    melody_network,
    predominance,
    representation,
    salience,
    second_opinion,
)
from audiosearch.engine.tunes.packing import PackedTunes
from audiosearch.engine.tunes.representation import Tune
from benchmarks import tunes_known, tunes_made, tunes_played
from benchmarks.tunes_known import KNOWN, known_tunes
from benchmarks.tunes_made import MadeTune, made_tune
from benchmarks.tunes_played import Arrangement, arranged, play

FIRST_SEED = 100
"""Those below were looked at while constants were chosen."""
BATCH = 20
"""Songs that are played in one go."""
PLAYED_BY = melody, tunes_known, tunes_made, tunes_played
ANALYSED_BY = (
    analysis,
    contour,
    melody_network,
    predominance,
    representation,
    salience,
    second_opinion,
)
"""What is kept is made anew when one of these changes."""
FULL_SCALE = 32_767


@dataclass(frozen=True, order=True)
class Rendering:
    """A song in one of its arrangements: the font that plays it, the song's number, the seed of the
    arrangement, semitones up, how much faster, and whether the melody is played alone."""

    font: Path
    song: int
    seed: int
    key: int = 0
    speed: float = 1.0
    alone: bool = False

    @property
    def name(self) -> str:
        """Of the file that its sound is kept in, without a suffix."""
        alone = "-alone" if self.alone else ""
        place = f"{self.font.stem}-{self.song}-{self.seed}-{self.key}-{self.speed:.4f}{alone}"
        return f"{_version(PLAYED_BY)}-{place}"

    def arranged(self) -> Arrangement:
        tune = song_of(self.song)
        return arranged(tune, self.seed, self.key, self.speed, alone=self.alone)


def song_of(number: int) -> MadeTune:
    """The song of a number, the same every time."""
    return _known()[number] if number < len(KNOWN) else made_tune(FIRST_SEED + number)


def tunes_of(
    renderings: Sequence[Rendering], kept: Path, processes: int, *, second: bool = False
) -> Iterator[Tune]:
    """The analysis of each, made where it is not kept in this folder yet, as sounds are, too.

    second: with a second opinion of what sounds.
    """
    for path in (_sound_path(renderings[0], kept), _tune_path(renderings[0], kept, second)):
        path.parent.mkdir(parents=True, exist_ok=True)
    missing = sorted({one for one in renderings if not _tune_path(one, kept, second).exists()})
    batches = [
        own[begin : begin + BATCH]
        for _, group in groupby(missing, lambda one: one.font)
        for own in [list(group)]
        for begin in range(0, len(own), BATCH)
    ]
    with (
        tqdm(
            total=len(missing), unit="song", desc="play", disable=None if missing else True
        ) as bar,
        ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool,
    ):
        for done in as_completed([pool.submit(_keep, batch, kept, second) for batch in batches]):
            bar.update(done.result())
    for one in renderings:
        with np.load(_tune_path(one, kept, second)) as arrays:
            yield Tune(**arrays)


@cache
def packed(renderings: tuple[Rendering, ...], kept: Path, second: bool) -> PackedTunes:
    """The tunes that are kept of these, by the numbers of their songs."""
    tunes = tunes_of(renderings, kept, 1, second=second)
    return PackedTunes({one.song: tune for one, tune in zip(renderings, tunes, strict=True)})


def _keep(batch: Sequence[Rendering], kept: Path, second: bool) -> int:
    """Play, where they are not yet, and analyse songs of one font; returns how many."""
    silent = [one for one in batch if not _sound_path(one, kept).exists()]
    if silent:
        sounds = play([one.arranged() for one in silent], silent[0].font)
        for one, samples in zip(silent, sounds, strict=True):
            with _whole(_sound_path(one, kept)) as path:
                np.save(path, np.round(samples * FULL_SCALE).astype(np.int16))
    opinion = _opinion() if second else None
    for one in batch:
        samples = np.load(_sound_path(one, kept)).astype(np.float32) / FULL_SCALE
        arrays: dict[str, Any] = analysis.tune_of(samples, opinion).arrays()
        with _whole(_tune_path(one, kept, second)) as path:
            np.savez(path, **arrays)
    return len(batch)


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """Where to write a file that is there when all of it is."""
    unfinished = path.with_name(f"unfinished-{path.name}")
    yield unfinished
    unfinished.rename(path)


def _sound_path(one: Rendering, kept: Path) -> Path:
    return kept / "sounds" / f"{one.name}.npy"


def _tune_path(one: Rendering, kept: Path, second: bool) -> Path:
    folder = f"{_version(ANALYSED_BY)}{'-second' if second else ''}"
    return kept / folder / f"{one.name}.npz"


@cache
def _opinion() -> second_opinion.SecondOpinion:
    return second_opinion.SecondOpinion()


@cache
def _known() -> list[MadeTune]:
    return known_tunes()


@cache
def _version(modules: tuple[ModuleType, ...]) -> str:
    """Of the source of these modules, and of the network where one of them runs it."""
    source = "".join(inspect.getsource(module) for module in modules).encode()
    model = melody_network.MODEL.read_bytes() if melody_network in modules else b""
    return hashlib.sha256(source + model).hexdigest()[:8]
