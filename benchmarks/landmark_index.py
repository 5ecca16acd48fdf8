"""Measure the landmark index on this disk as a catalogue grows, in processor time.

    python -m benchmarks.landmark_index [--hours 10,100] [--songs 40] [--queries 20] [--json]

A catalogue of so many hours is made of the landmarks of rendered songs, and of the music in
../shared/data/music where it is: each in many variants, all bins moved and pieces of a few seconds
put in another order. Queries are excerpts of the songs themselves with noise of equal loudness.
Times are of the processor, in ms a query: the analysis of it, and its 300 candidates, among all
tracks and among half of them; a whole match in the first pass, with analysis, candidates and
verification; and a stranger's, which goes through the ladder of speeds as well. Recall says how
often the right track is among the candidates.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np

from audiosearch.engine.analyzers.landmarks.analyzer import LandmarkAnalyzer
from audiosearch.engine.analyzers.landmarks.representation import Landmarks
from audiosearch.engine.analyzers.landmarks.spectrum import HIGH_BIN, HOP, LOW_BIN, SAMPLE_RATE
from audiosearch.engine.arrays import FloatArray
from audiosearch.engine.indexes.filters import TrackFilter
from audiosearch.engine.indexes.landmarks_base import LandmarkEntry
from audiosearch.engine.indexes.landmarks_segments import SegmentIndex
from audiosearch.engine.indexes.payloads import TrackPayload
from audiosearch.engine.matchers.recording.query import RecordingQuery
from audiosearch.engine.matchers.same_recording import SameRecording
from benchmarks.recognition_sounds import real_music, rendered_song
from benchmarks.report import folder_mb, show

SPACE, EVERYTHING = "landmarks-v1", TrackFilter()
TOP = 300
PIECE_FRAMES = 150
NEAREST_BINS, FARTHEST_BINS = 4, 60
"""Moved by less, a variant would be pieces of the song itself."""
ADDED = 1_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hours", default="10,100")
    parser.add_argument("--songs", type=int, default=40)
    parser.add_argument("--queries", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    songs = [*real_music().values(), *(rendered_song(seed) for seed in range(options.songs))]
    landmarks = [landmarks_of(song) for song in songs]
    rows = []
    for hours in map(float, options.hours.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            rows += measure(Path(folder), hours, songs, landmarks, options.queries)
    show("landmark index, processor time in ms", rows, as_json=options.json)


def landmarks_of(samples: FloatArray) -> Landmarks:
    """The landmarks of a recording."""
    stream = LandmarkAnalyzer(Path()).begin(len(samples) * 1000 // SAMPLE_RATE, SAMPLE_RATE)
    stream.feed(samples)
    found = stream.finish()
    assert isinstance(found, Landmarks)
    return found


def variant(landmarks: Landmarks, rng: np.random.Generator) -> Landmarks:
    """As much of another song: all bins moved, and pieces of 3.5 s in another order."""
    length = int(landmarks.length[0])
    order = rng.permutation(length // PIECE_FRAMES + 1)
    pieces = landmarks.frames // PIECE_FRAMES
    frames = order[pieces] * PIECE_FRAMES + landmarks.frames % PIECE_FRAMES
    moved = rng.choice([-1, 1]) * rng.integers(NEAREST_BINS, FARTHEST_BINS + 1)
    bins = landmarks.bins + moved
    bins = (bins - LOW_BIN) % (HIGH_BIN - LOW_BIN) + LOW_BIN
    ascending = np.lexsort((bins, frames))
    return Landmarks(
        frames[ascending].astype(np.int32),
        bins[ascending].astype(np.uint16),
        landmarks.ranks[ascending],
        np.array([len(order) * PIECE_FRAMES], np.int32),
    )


def catalogue(landmarks: list[Landmarks], hours: float) -> Iterator[LandmarkEntry]:
    """The songs themselves, and variants of them until there are so many hours."""
    rng = np.random.default_rng(5)
    frames, item = 0.0, 0
    while frames * HOP / SAMPLE_RATE < hours * 3600:
        base = landmarks[item % len(landmarks)]
        made = base if item < len(landmarks) else variant(base, rng)
        frames += int(made.length[0])
        item += 1
        yield LandmarkEntry(TrackPayload(item, collection_id=item % 2), made)


def measure(
    folder: Path, hours: float, songs: list[FloatArray], landmarks: list[Landmarks], queries: int
) -> list[dict[str, Any]]:
    """A row for 3, 5 and 10 s each."""
    index = SegmentIndex(folder)
    began = time.process_time()
    index.rebuild(SPACE, TrackPayload.layout, catalogue(landmarks, hours))
    building = time.process_time() - began
    shared = {
        "hours": hours,
        "segments": len(list(folder.glob("*/segments/*"))),
        "MB an hour": folder_mb(folder) / hours,
        "building, CPU s": building,
    }
    before = _resident_mb()
    rows = [
        {**shared, "seconds": seconds, **_ask(index, songs, seconds, queries)}
        for seconds in (3, 5, 10)
    ]
    after = _resident_mb()
    added = _add(index, songs, landmarks)
    for row in rows:
        row |= {"anonymous MB": after[0] - before[0], "mapped MB": after[1] - before[1], **added}
    return rows


def _ask(
    index: SegmentIndex, songs: list[FloatArray], seconds: int, queries: int
) -> dict[str, float]:
    rng = np.random.default_rng(seconds)
    half = TrackFilter(collection_ids=(1,))
    steps = ("analysis", "candidates", "of half", "match", "stranger")
    took: dict[str, list[float]] = {step: [] for step in steps}
    found = 0
    for number in range(queries + 1):
        song = songs[number % len(songs)]
        begin = int(rng.integers(0, max(1, len(song) - seconds * SAMPLE_RATE)))
        excerpt = song[begin : begin + seconds * SAMPLE_RATE]
        noise = rng.standard_normal(len(excerpt)) * np.sqrt(np.mean(np.square(excerpt)))
        heard = np.asarray(excerpt + noise, np.float32)
        moments = [time.process_time()]
        asked = RecordingQuery.from_samples(heard).hashed()
        moments.append(time.process_time())
        best = index.candidates(SPACE, asked, TOP, EVERYTHING)
        moments.append(time.process_time())
        index.candidates(SPACE, asked, TOP, half)
        moments.append(time.process_time())
        _match(index, heard, ladder=False)
        moments.append(time.process_time())
        _match(index, _stranger(rng, songs[-1 - number % len(songs)], len(excerpt)), ladder=True)
        moments.append(time.process_time())
        if number:  # the first one compiles, and maps the files
            found += number % len(songs) + 1 in best.item_ids
            for name, cost in zip(took, np.diff(moments), strict=True):
                took[name].append(cost * 1000)
    medians = {name: float(np.median(each)) for name, each in took.items()}
    return {**medians, "recall": found / queries}


def _match(index: SegmentIndex, heard: FloatArray, *, ladder: bool) -> None:
    query = RecordingQuery.from_samples(heard)
    SameRecording().match(query, index, SPACE, top_k=5, where=EVERYTHING, ladder=ladder)


def _stranger(rng: np.random.Generator, song: FloatArray, length: int) -> FloatArray:
    """A tenth of a second here and there of a song: as much in it, and nothing to find."""
    begins = rng.integers(0, len(song) - SAMPLE_RATE, -(-length // (SAMPLE_RATE // 10)))
    return np.concatenate([song[begin : begin + SAMPLE_RATE // 10] for begin in begins])[:length]


def _add(
    index: SegmentIndex, songs: list[FloatArray], landmarks: list[Landmarks]
) -> dict[str, float]:
    """Add 1,000 tracks at once while somebody asks, whose slowest answer is told in wall time."""
    rng = np.random.default_rng(9)
    base = max(index.item_lengths(SPACE))
    entries = [
        LandmarkEntry(TrackPayload(base + n), variant(landmarks[n % len(landmarks)], rng))
        for n in range(1, ADDED + 1)
    ]
    asked = RecordingQuery.from_samples(songs[0][: 5 * SAMPLE_RATE]).hashed()
    done, waited = Event(), [0.0]

    def ask() -> None:
        while not done.is_set():
            began = time.perf_counter()
            index.candidates(SPACE, asked, TOP, EVERYTHING)
            waited.append(time.perf_counter() - began)

    alone = []
    for _ in range(5):
        began = time.perf_counter()
        index.candidates(SPACE, asked, TOP, EVERYTHING)
        alone.append(time.perf_counter() - began)
    asker = Thread(target=ask)
    asker.start()
    began = time.perf_counter()
    index.upsert(SPACE, entries)
    took = time.perf_counter() - began
    done.set()
    asker.join()
    return {
        "adding 1,000, s": took,
        "a query alone, wall ms": float(np.median(alone)) * 1000,
        "median meanwhile": float(np.median(waited)) * 1000,
        "slowest meanwhile": max(waited) * 1000,
    }


def _resident_mb() -> tuple[float, float]:
    """Memory of this process: its own, and pages of files."""
    lines = Path("/proc/self/status").read_text().splitlines()
    sizes = {line.split(":")[0]: line.split()[1] for line in lines if line.startswith("Rss")}
    return int(sizes["RssAnon"]) / 1024, int(sizes["RssFile"]) / 1024


if __name__ == "__main__":
    main()
