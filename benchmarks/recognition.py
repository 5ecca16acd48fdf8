"""Measure how well excerpts are recognised, and what is accepted that is in no catalogue.

    python -m benchmarks.recognition [--songs 80] [--strangers 50] [--each 24] [--fit] [--json]

Real music from ../shared/data/music, where it is, and rendered songs make the catalogue; other
rendered songs, sounds of ESC-10 and voices are strangers. Excerpts of 3, 5 and 10 s, as they are,
in noise, by a phone in a room, and through Opus. Half of the songs and strangers serve to fit the
calibration, half to test it; the table is of all. CPU is process time.

top-1      the likeliest track is the right one
accepted   … and its probability at least that which 1 % of the strangers reach
offset     … and its moment right within 0.25 s
"""

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from audiosearch.engine.analyzers.landmarks.analyzer import LandmarkAnalyzer
from audiosearch.engine.analyzers.landmarks.representation import Landmarks
from audiosearch.engine.analyzers.landmarks.spectrum import SAMPLE_RATE, frames_to_ms
from audiosearch.engine.arrays import FloatArray
from audiosearch.engine.indexes.filters import TrackFilter
from audiosearch.engine.indexes.landmarks_base import LandmarkEntry
from audiosearch.engine.indexes.landmarks_exact import ExactLandmarkIndex
from audiosearch.engine.indexes.payloads import TrackPayload
from audiosearch.engine.matchers.recording.probability import FIRST_PASS
from audiosearch.engine.matchers.recording.query import RecordingQuery
from audiosearch.engine.matchers.recording.ranking import rank_as_it_is
from audiosearch.engine.matchers.recording.strangers import keep_strangers
from audiosearch.engine.matchers.recording.verifying import evidence_of
from audiosearch.engine.matchers.same_recording import _find, why_unfit
from benchmarks.recognition_fit import Outcome, fit, summary
from benchmarks.recognition_sounds import (
    CONDITIONS,
    Condition,
    Worsening,
    real_music,
    rendered_song,
    strange_sounds,
)
from benchmarks.report import show

SPACE = "landmarks-v1"
SECONDS = (3, 5, 10)
STRANGER_SEEDS, KEPT_SEEDS, KEPT = 5000, 10_000, 64
TOLERANCE_MS = 250


@dataclass(frozen=True)
class Excerpt:
    """item_id 0: in no catalogue."""

    item_id: int
    kind: str
    begin_ms: int
    seconds: int
    condition: Condition
    samples: FloatArray


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--songs", type=int, default=80, help="rendered, in the catalogue")
    parser.add_argument("--strangers", type=int, default=50, help="rendered, and as many sounds")
    parser.add_argument("--each", type=int, default=24, help="excerpts of a condition and length")
    parser.add_argument("--cache", type=Path, help="where rendered songs are kept for next time")
    parser.add_argument("--fit", action="store_true", help="print constants of the calibration")
    parser.add_argument("--keep-strangers", action="store_true", help="write strangers.npz anew")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    song = partial(_song, options.cache)
    if options.keep_strangers:
        keep_strangers([landmarks_of(song(KEPT_SEEDS + n)) for n in range(KEPT)])
    music = real_music()
    catalogue = [*music.values(), *(song(seed) for seed in range(options.songs))]
    index = index_of(catalogue)
    sounds = strange_sounds(options.strangers)
    strangers = [*(song(STRANGER_SEEDS + n) for n in range(options.strangers)), *sounds]
    excerpts = excerpts_of(catalogue, len(music), strangers, sounds, options.each)
    outcomes = [measure(index, excerpt) for excerpt in excerpts]
    show("recognition", summary(outcomes), as_json=options.json, tracks=len(catalogue))
    if options.fit:
        fit(outcomes)


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
    catalogue: list[FloatArray],
    real: int,
    strangers: list[FloatArray],
    voices: list[FloatArray],
    each: int,
) -> Iterator[Excerpt]:
    """Of each condition and length `each` of real and of rendered songs, and one of each stranger.

    Real recordings shorter than the excerpts are passed over, and so are quiet moments.
    """
    rng = np.random.default_rng(1)
    worsen = Worsening(voices, 2)
    for condition in CONDITIONS:
        for seconds in SECONDS:
            length = seconds * SAMPLE_RATE
            long = [n for n in range(real) if len(catalogue[n]) > 20 * SAMPLE_RATE]
            chosen = [("real", long[n % len(long)]) for n in range(each if long else 0)]
            chosen += [("rendered", int(rng.integers(real, len(catalogue)))) for _ in range(each)]
            sources = [(kind, n + 1, catalogue[n]) for kind, n in chosen]
            sources += [("stranger", 0, samples) for samples in strangers]
            for kind, item_id, samples in sources:
                if len(samples) < length + 10:
                    continue
                begin = _moment(rng, samples, length)
                made = worsen(samples[begin : begin + length], condition)
                begin_ms = begin * 1000 // SAMPLE_RATE
                yield Excerpt(item_id, kind, begin_ms, seconds, condition, made)


def measure(index: ExactLandmarkIndex, excerpt: Excerpt) -> Outcome:
    """The first pass on one excerpt."""
    began = time.process_time()
    query = RecordingQuery.from_samples(excerpt.samples)
    unfit = why_unfit(query)
    ranking = rank_as_it_is(query, evidence_of(query), partial(_find, index, SPACE, TrackFilter()))
    best = ranking.places[0] if ranking.places and not unfit else None
    score, standing = (best.score, ranking.standing) if best else (0.0, 0.0)
    right = bool(best) and best.item_id == excerpt.item_id
    ahead = frames_to_ms(best.offset) - excerpt.begin_ms if best else 0
    return Outcome(
        kind=excerpt.kind,
        item_id=excerpt.item_id,
        condition=excerpt.condition.name,
        seconds=excerpt.seconds,
        right=right,
        in_time=right and abs(ahead) <= TOLERANCE_MS,
        score=score,
        standing=standing,
        probability=FIRST_PASS.probability(standing, score, query.seconds) if best else 0.0,
        cpu_ms=(time.process_time() - began) * 1000,
    )


def _moment(rng: np.random.Generator, samples: FloatArray, length: int) -> int:
    """Where to cut: not where there is next to nothing to hear."""
    for _ in range(50):
        begin = int(rng.integers(0, len(samples) - length))
        if samples[begin : begin + length].std() > 0.1 * samples.std():
            break
    return begin


def _song(cache: Path | None, seed: int) -> FloatArray:
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
