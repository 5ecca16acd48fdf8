"""The catalogue of `benchmarks.tunes`: which songs there are, played, analysed and kept.

Songs have numbers: the first are those that everybody knows, the others are made from seeds.
"""

import hashlib
import inspect
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from apps.ops.demo import melody
from audiosearch.engine.tunes import analysis, contour, representation, salience
from audiosearch.engine.tunes.representation import Tune
from benchmarks import tunes_known, tunes_made, tunes_played
from benchmarks.tunes_known import KNOWN, known_tunes
from benchmarks.tunes_made import MadeTune, made_tune
from benchmarks.tunes_played import Arrangement, arranged, play

FIRST_SEED = 100
"""Those below were looked at while constants were chosen."""
BATCH = 10
"""Songs that are played in one go."""
MADE_BY = (analysis, contour, melody, representation, salience, tunes_known, tunes_made)
MODULES = (*MADE_BY, tunes_played)
"""What is kept is made anew when one of these changes."""


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
        """Of the file that the analysis is kept in, without a suffix."""
        alone = "-alone" if self.alone else ""
        place = f"{self.font.stem}-{self.song}-{self.seed}-{self.key}-{self.speed:.4f}{alone}"
        return f"{_version()}-{place}"

    def arranged(self) -> Arrangement:
        tune = song_of(self.song)
        return arranged(tune, self.seed, self.key, self.speed, alone=self.alone)


def song_of(number: int) -> MadeTune:
    """The song of a number, the same every time."""
    return _known()[number] if number < len(KNOWN) else made_tune(FIRST_SEED + number)


def tunes_of(renderings: Sequence[Rendering], kept: Path, processes: int) -> Iterator[Tune]:
    """The analysis of each, made where it is not kept in this folder yet."""
    kept.mkdir(parents=True, exist_ok=True)
    missing = sorted({one for one in renderings if not _path(one, kept).exists()})
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
        for done in as_completed([pool.submit(_keep, batch, kept) for batch in batches]):
            bar.update(done.result())
    for one in renderings:
        with np.load(_path(one, kept)) as arrays:
            yield Tune(**arrays)


def _keep(batch: Sequence[Rendering], kept: Path) -> int:
    """Play and analyse songs of one font; returns how many."""
    sounds = play([one.arranged() for one in batch], batch[0].font)
    for one, samples in zip(batch, sounds, strict=True):
        arrays: dict[str, Any] = analysis.tune_of(samples).arrays()
        path = _path(one, kept)
        unfinished = path.with_suffix(".part.npz")
        np.savez(unfinished, **arrays)
        unfinished.rename(path)
    return len(batch)


def _path(one: Rendering, kept: Path) -> Path:
    return kept / f"{one.name}.npz"


@cache
def _known() -> list[MadeTune]:
    return known_tunes()


@cache
def _version() -> str:
    """Of what songs and analyses are made by."""
    source = "".join(inspect.getsource(module) for module in MODULES)
    return hashlib.sha256(source.encode()).hexdigest()[:8]
