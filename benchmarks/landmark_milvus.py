"""Measure Milvus Lite as the landmark index beside segments on disk, in processor time.

    python -m benchmarks.landmark_milvus [--hours 1,10] [--songs 16] [--queries 10] [--json]

The catalogues and queries are those of `benchmarks.landmark_index`. Times are of the processor, in
ms a query for its 300 candidates, and of Lite its server's too; recall says how often the right
track is among them. Memory is that of all processes that hold the index.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from audiosearch.engine.analyzers.landmarks.representation import Landmarks
from audiosearch.engine.analyzers.landmarks.spectrum import SAMPLE_RATE
from audiosearch.engine.arrays import FloatArray
from audiosearch.engine.indexes.landmarks_base import LandmarkEntry, LandmarkIndex, LandmarkQuery
from audiosearch.engine.indexes.landmarks_milvus import MilvusLandmarkIndex
from audiosearch.engine.indexes.landmarks_segments import SegmentIndex
from audiosearch.engine.indexes.payloads import TrackPayload
from audiosearch.engine.matchers.recording.query import RecordingQuery
from benchmarks.landmark_index import EVERYTHING, SPACE, TOP, catalogue, landmarks_of
from benchmarks.recognition_sounds import real_music, rendered_song
from benchmarks.report import children_cpu_s, resident_mb, show
from tests.servers import milvus_lite


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hours", default="1,10")
    parser.add_argument("--songs", type=int, default=16)
    parser.add_argument("--queries", type=int, default=10)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    songs = [*real_music().values(), *(rendered_song(seed) for seed in range(options.songs))]
    landmarks = [landmarks_of(song) for song in songs]
    rows: list[dict[str, Any]] = []
    for hours in map(float, options.hours.split(",")):
        kept = {one.payload.item_id: one.landmarks for one in catalogue(landmarks, hours)}
        with tempfile.TemporaryDirectory() as name:
            index = SegmentIndex(Path(name))
            rows += measure("segments", index, kept, songs, hours, options.queries, "no server")
        with tempfile.TemporaryDirectory() as name, milvus_lite(Path(name) / "lite") as uri:
            lite = MilvusLandmarkIndex(uri, _loader(kept))
            rows += measure("Milvus Lite", lite, kept, songs, hours, options.queries, name)
    show("landmark indexes, processor time in ms", rows, as_json=options.json)


def _loader(kept: Mapping[int, Landmarks]) -> Any:
    def load(items: Sequence[int]) -> Mapping[int, Landmarks]:
        return {item: kept[item] for item in items if item in kept}

    return load


def measure(
    title: str,
    index: LandmarkIndex,
    kept: Mapping[int, Landmarks],
    songs: list[FloatArray],
    hours: float,
    queries: int,
    server: str,
) -> Iterator[dict[str, Any]]:
    """A row for 3, 5 and 10 s each; server: a word on the command line of what serves the index."""
    began = time.process_time() + children_cpu_s(server)
    entries = (LandmarkEntry(TrackPayload(item), own) for item, own in kept.items())
    index.rebuild(SPACE, TrackPayload.layout, entries)
    building = time.process_time() + children_cpu_s(server) - began
    for seconds in (3, 5, 10):
        costs, found = [], 0
        for number, asked, right in _queries(songs, seconds, queries + 1):
            began = children_cpu_s(server) + time.process_time()  # looking costs some ms itself
            best = index.candidates(SPACE, asked, TOP, EVERYTHING)
            costs.append(time.process_time() + children_cpu_s(server) - began)
            found += bool(number) and right in best.item_ids
        yield {
            "index": title,
            "hours": hours,
            "seconds": seconds,
            "building, CPU s": building,
            "candidates": float(np.mean(costs[1:])) * 1000,  # a server's are counted in hundredths
            "the first": costs[0] * 1000,
            "recall": found / queries,
            "server, MB": resident_mb(server),
        }


def _queries(
    songs: list[FloatArray], seconds: int, count: int
) -> Iterator[tuple[int, LandmarkQuery, int]]:
    """Number, query and the right track; excerpts in noise of equal loudness."""
    rng = np.random.default_rng(seconds)
    for number in range(count):
        song = songs[number % len(songs)]
        begin = int(rng.integers(0, max(1, len(song) - seconds * SAMPLE_RATE)))
        excerpt = song[begin : begin + seconds * SAMPLE_RATE]
        noise = rng.standard_normal(len(excerpt)) * np.sqrt(np.mean(np.square(excerpt)))
        heard = np.asarray(excerpt + noise, np.float32)
        yield number, RecordingQuery.from_samples(heard).hashed(), number % len(songs) + 1


if __name__ == "__main__":
    main()
