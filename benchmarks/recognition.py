"""Measure how well excerpts are recognised, and what is accepted that is in no catalogue.

    python -m benchmarks.recognition --half 0 --seed 1 --fit [--ladder]   # to fit
    python -m benchmarks.recognition --half 1 --seed 2 [--ladder] [--json]   # to test

Real music from ../shared/data/music, where it is, and rendered songs make the catalogue; other
rendered songs, sounds of ESC-10 and voices are strangers. Excerpts of 3, 5 and 10 s, as they are,
in noise, by a phone in a room, and through Opus; with `--ladder` played faster, stretched, or at
another pitch. One half of the rendered songs and of the strangers serves to fit the calibration,
the other to test it; no song, reader or recording is in both. CPU is process time.

top-1      the likeliest track is the right one
accepted   … and its probability at least that which 1 % of the strangers reach
offset     … and its moment right within 0.25 s
"""

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from audiosearch.engine.analyzers.landmarks.analyzer import LandmarkAnalyzer
from audiosearch.engine.analyzers.landmarks.representation import Landmarks
from audiosearch.engine.analyzers.landmarks.spectrum import SAMPLE_RATE, frames_to_ms
from audiosearch.engine.arrays import FloatArray
from audiosearch.engine.indexes.filters import TrackFilter
from audiosearch.engine.indexes.landmarks_base import LandmarkEntry
from audiosearch.engine.indexes.landmarks_exact import ExactLandmarkIndex
from audiosearch.engine.indexes.payloads import TrackPayload
from audiosearch.engine.matchers.recording.ladder import RUNGS
from audiosearch.engine.matchers.recording.probability import FIRST_PASS, LADDER
from audiosearch.engine.matchers.recording.query import RecordingQuery
from audiosearch.engine.matchers.recording.ranking import rank_as_it_is, rank_by_rungs
from audiosearch.engine.matchers.recording.strangers import keep_strangers
from audiosearch.engine.matchers.recording.verifying import evidence_of
from audiosearch.engine.matchers.same_recording import _find, why_unfit
from benchmarks.recognition_fit import Outcome, fit, summary, told
from benchmarks.recognition_sounds import (
    CONDITIONS,
    LADDER_CONDITIONS,
    BenchmarkCondition,
    BenchmarkWorsening,
    real_music,
    rendered_song,
    strange_sounds,
)
from benchmarks.report import show

SPACE = "landmarks-v1"
SECONDS = (3, 5, 10)
STRANGER_SEEDS, KEPT_SEEDS, KEPT = 5000, 10_000, 64
TOLERANCE_MS = 250
LONGER = 1.1
"""What is cut of a recording that is played faster."""


@dataclass(frozen=True)
class Source:
    """A recording to cut from; item_id 0: in no catalogue."""

    kind: str
    item_id: int
    whose: str
    samples: FloatArray


@dataclass(frozen=True)
class Excerpt:
    """item_id 0: in no catalogue; whose: what it was cut from."""

    item_id: int
    whose: str
    kind: str
    begin_ms: int
    seconds: int
    condition: BenchmarkCondition
    samples: FloatArray


def arguments(summary: str) -> argparse.ArgumentParser:
    """What chooses the excerpts."""
    parser = argparse.ArgumentParser(description=summary)
    parser.add_argument("--songs", type=int, default=60, help="rendered, in the catalogue")
    parser.add_argument(
        "--strangers", type=int, default=100, help="rendered, and twice as many sounds"
    )
    parser.add_argument("--each", type=int, default=24, help="excerpts of a condition and length")
    parser.add_argument("--half", type=int, choices=(0, 1), help="of the sources; all, left out")
    parser.add_argument("--seed", type=int, default=1, help="of moments, noises and rooms")
    parser.add_argument("--ladder", action="store_true", help="other speeds and pitches")
    parser.add_argument("--cache", type=Path, help="where rendered songs are kept for next time")
    parser.add_argument("--json", action="store_true")
    return parser


def main() -> None:
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument("--fit", action="store_true", help="print constants of the calibration")
    parser.add_argument("--keep-strangers", action="store_true", help="write strangers.npz anew")
    options = parser.parse_args()
    song = partial(song_of, options.cache)
    if options.keep_strangers:
        songs = (song(KEPT_SEEDS + n)[: 30 * SAMPLE_RATE] for n in range(KEPT))
        keep_strangers([landmarks_of(one) for one in songs])
    outcomes = outcomes_of(song, options)
    show("recognition", summary(outcomes), as_json=options.json, strangers=told(outcomes))
    if options.fit:
        fit(outcomes)


def outcomes_of(song: Callable[[int], FloatArray], options: argparse.Namespace) -> list[Outcome]:
    """What comes of all excerpts that these options ask for."""
    catalogue, excerpts = asked_for(song, options)
    index = index_of(catalogue)
    return [measure(index, excerpt, ladder=options.ladder) for excerpt in excerpts]


def asked_for(
    song: Callable[[int], FloatArray], options: argparse.Namespace
) -> tuple[list[FloatArray], Iterator[Excerpt]]:
    """The catalogue, of tracks numbered from 1, and the excerpts that are asked with."""
    music = real_music()
    rendered = [song(seed) for seed in range(options.songs)]
    sounds = strange_sounds(2 * options.strangers)
    strangers = {
        **{f"stranger {n}": [song(STRANGER_SEEDS + n)] for n in range(options.strangers)},
        **{name: [one for whose, one in sounds if whose == name] for name, _ in sounds},
    }
    sources = [Source("real", n, name, one) for n, (name, one) in enumerate(music.items(), 1)]
    sources += [
        Source("rendered", n + len(music) + 1, f"song {n}", one)
        for n, one in enumerate(rendered)
        if options.half in (None, n % 2)
    ]
    sources += [
        Source("stranger", 0, name, one)
        for n, (name, some) in enumerate(strangers.items())
        if options.half in (None, n % 2)
        for one in some
    ]
    conditions = LADDER_CONDITIONS if options.ladder else CONDITIONS
    return [*music.values(), *rendered], excerpts_of(
        sources, conditions, options.each, options.seed
    )


def landmarks_of(samples: FloatArray) -> Landmarks:
    """The landmarks of mono sound at SAMPLE_RATE."""
    stream = LandmarkAnalyzer(Path()).begin(0, SAMPLE_RATE)
    stream.feed(samples)
    found = stream.finish()
    assert isinstance(found, Landmarks)
    return found


def index_of(catalogue: list[FloatArray]) -> ExactLandmarkIndex:
    """An index of tracks numbered from 1."""
    index = ExactLandmarkIndex()
    index.create_space(SPACE, TrackPayload.layout)
    entries = [
        LandmarkEntry(TrackPayload(track_id=number), landmarks_of(samples))
        for number, samples in enumerate(catalogue, 1)
    ]
    index.upsert(SPACE, entries)
    return index


def excerpts_of(
    sources: list[Source], conditions: Sequence[BenchmarkCondition], each: int, seed: int
) -> Iterator[Excerpt]:
    """Of each condition and length `each` of real and of rendered songs; a third of the strangers.

    Real recordings shorter than the excerpts are passed over, and so are quiet moments.
    """
    rng = np.random.default_rng(seed)
    strangers = [one for one in sources if not one.item_id]
    worsen = BenchmarkWorsening(
        [one.samples for one in strangers if one.whose.startswith("reader")], seed
    )
    real = [one for one in sources if one.kind == "real" and len(one.samples) > 20 * SAMPLE_RATE]
    rendered = [one for one in sources if one.kind == "rendered"]
    for condition in conditions:
        for seconds in SECONDS:
            length = round(seconds * SAMPLE_RATE * (LONGER if condition.changed else 1))
            chosen = [real[n % len(real)] for n in range(each if real else 0)]
            chosen += [rendered[n] for n in rng.integers(0, len(rendered), each)]
            chosen += [strangers[n] for n in rng.permutation(len(strangers))[::3]]
            for source in chosen:
                if len(source.samples) < length + 10:
                    continue
                begin = _moment(rng, source.samples, length)
                made = worsen(source.samples[begin : begin + length], condition)
                yield Excerpt(
                    source.item_id,
                    source.whose,
                    source.kind,
                    begin * 1000 // SAMPLE_RATE,
                    seconds,
                    condition,
                    made[: seconds * SAMPLE_RATE],
                )


def measure(index: ExactLandmarkIndex, excerpt: Excerpt, *, ladder: bool = False) -> Outcome:
    """The first pass on one excerpt, or the ladder alone."""
    began = time.process_time()
    query = RecordingQuery.from_samples(excerpt.samples)
    unfit = why_unfit(query)
    evidence, find = evidence_of(query), partial(_find, index, SPACE, TrackFilter())
    if ladder:
        ranking, calibration = rank_by_rungs(query, evidence, find, RUNGS), LADDER
    else:
        ranking, calibration = rank_as_it_is(query, evidence, find), FIRST_PASS
    best = ranking.places[0] if ranking.places and not unfit else None
    score, standing = (best.score, ranking.standing) if best else (0.0, 0.0)
    right = best is not None and best.item_id == excerpt.item_id
    ahead = frames_to_ms(best.offset) - excerpt.begin_ms if best else 0
    return Outcome(
        kind=excerpt.kind,
        item_id=excerpt.item_id,
        whose=excerpt.whose,
        condition=excerpt.condition.name,
        seconds=excerpt.seconds,
        right=right,
        in_time=right and abs(ahead) <= TOLERANCE_MS,
        score=score,
        standing=standing,
        probability=calibration.probability(standing, score, query.seconds) if best else 0.0,
        cpu_ms=(time.process_time() - began) * 1000,
    )


def _moment(rng: np.random.Generator, samples: FloatArray, length: int) -> int:
    """Where to cut: not where there is next to nothing to hear."""
    for _ in range(50):
        begin = int(rng.integers(0, len(samples) - length))
        if samples[begin : begin + length].std() > 0.1 * samples.std():
            break
    return begin


def song_of(cache: Path | None, seed: int) -> FloatArray:
    """A rendered song, kept where `cache` says."""
    if cache is None:
        return rendered_song(seed)
    cache.mkdir(exist_ok=True)
    path = cache / f"{seed}.npy"
    if not path.exists():
        np.save(path, rendered_song(seed))
    kept: FloatArray = np.load(path)
    return kept


if __name__ == "__main__":
    main()
