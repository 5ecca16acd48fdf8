"""Measure how well copies of a recording are found, what strangers reach, and how fast it is.

    python -m benchmarks.duplicates [--songs 60] [--tracks 7300] [--seconds 45] [--json]

Recall: real music from ../shared/data/music, where it is, and rendered songs make the catalogue;
copies of each are asked for, re-encoded, trimmed, louder, equalised, sped up, and cut. Other songs,
voices and sounds are strangers. Speed: a catalogue of songs whose landmarks are shuffled and
shifted is asked for each of its tracks, as `./manage duplicates` does, in as many threads as
there are cores. CPU is process time.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import numpy as np
import soxr
from scipy.signal import iirpeak, lfilter

from audiosearch.engine.analyzers.landmarks.representation import Landmarks
from audiosearch.engine.analyzers.landmarks.spectrum import BINS, HOP, LOW_BIN, SAMPLE_RATE
from audiosearch.engine.arrays import FloatArray
from audiosearch.engine.discovery import duplicates
from audiosearch.engine.discovery.duplicates import Duplicate, find_duplicates
from audiosearch.engine.indexes.landmarks_base import LandmarkEntry, LandmarkIndex
from audiosearch.engine.indexes.landmarks_segments import SegmentIndex
from audiosearch.engine.indexes.payloads import TrackPayload
from benchmarks.recognition import SPACE, STRANGER_SEEDS, index_of, landmarks_of, song_of
from benchmarks.recognition_sounds import faster, opus, real_music, strange_sounds
from benchmarks.report import show

FRAMES_PER_S = SAMPLE_RATE / HOP
BLOCK = 32
"""Frames: 0.7 s."""
EQUALISER = ((150, 2.0), (700, 0.6), (2500, 1.8))
"""Hz, and the gain there."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--songs", type=int, default=60, help="rendered, in the catalogue")
    parser.add_argument("--strangers", type=int, default=60, help="rendered, and twice as many")
    parser.add_argument("--tracks", type=int, default=7300, help="of the catalogue for speed")
    parser.add_argument("--seconds", type=int, default=45, help="of each of these")
    parser.add_argument("--cache", type=Path, help="where rendered songs are kept for next time")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    song = partial(song_of, options.cache)
    music = real_music()
    catalogue = [*music.values(), *(song(seed) for seed in range(options.songs))]
    index = index_of(catalogue)
    kept = {number: landmarks_of(samples) for number, samples in enumerate(catalogue, 1)}
    rows = [recall(name, change, catalogue, index, kept) for name, change in COPIES.items()]
    others = [song(STRANGER_SEEDS + n) for n in range(options.strangers)]
    others += [samples for _, samples in strange_sounds(2 * options.strangers)]
    strange = strangers([landmarks_of(one) for one in others], index, kept)
    speed = measure_speed(list(kept.values()), options.tracks, options.seconds)
    show("duplicates", rows, as_json=options.json, strangers=strange, speed=speed)


def coded(samples: FloatArray, bit_rate: int) -> FloatArray:
    """The samples as they come back from MP3 at this bit rate."""
    wide = soxr.resample(samples, SAMPLE_RATE, 44_100).astype(np.float32)
    held = BytesIO()
    with av.open(held, "w", format="mp3") as container:
        stream = container.add_stream("libmp3lame", rate=44_100, layout="mono")
        stream.bit_rate = bit_rate
        frame = av.AudioFrame.from_ndarray(wide[None], format="fltp", layout="mono")
        frame.sample_rate = 44_100
        resampler = av.AudioResampler(
            format=stream.format, layout="mono", rate=44_100, frame_size=1152
        )
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    held.seek(0)
    with av.open(held, "r") as container:
        parts = [frame.to_ndarray().reshape(1, -1) for frame in container.decode(audio=0)]
    back = np.concatenate(parts, axis=1)[0].astype(np.float32)
    return np.asarray(soxr.resample(back, 44_100, SAMPLE_RATE), np.float32)


def equalised(samples: FloatArray) -> FloatArray:
    """Through three bells and a limiter."""
    made = samples.copy()
    for hz, gain in EQUALISER:
        b, a = iirpeak(hz, 1.0, fs=SAMPLE_RATE)
        made = made + (gain - 1) * lfilter(b, a, samples).astype(np.float32)
    return np.asarray(np.tanh(made / made.std() * 0.35), np.float32)


def cut(samples: FloatArray, seconds: float) -> FloatArray:
    """Without so much of its beginning."""
    return samples[int(seconds * SAMPLE_RATE) :]


COPIES: dict[str, Callable[[FloatArray], FloatArray]] = {
    "same": lambda one: one,
    "MP3 64k": lambda one: coded(one, 64_000),
    "MP3 32k": lambda one: coded(one, 32_000),
    "trimmed by 3.01 s": lambda one: cut(one, 3.0137),
    "6 dB louder, clipped": lambda one: np.clip(one * 2 / np.abs(one).max(), -1, 1),
    "equaliser and limiter": equalised,
    "equaliser, trimmed, Opus 32k": lambda one: opus(equalised(cut(one, 1.507)), 32_000),
    "1 % faster": lambda one: faster(one, 1.01),
    "3.3 % slower": lambda one: faster(one, 0.967),
    "5.6 % faster": lambda one: faster(one, 1.056),
    "first 20 s": lambda one: one[: 20 * SAMPLE_RATE],
    "8 s of it, MP3 64k": lambda one: coded(one[10 * SAMPLE_RATE : 18 * SAMPLE_RATE], 64_000),
}


def recall(
    name: str,
    change: Callable[[FloatArray], FloatArray],
    catalogue: list[FloatArray],
    index: LandmarkIndex,
    kept: dict[int, Landmarks],
) -> dict[str, Any]:
    """How many are found by a copy of them, by what share, and what else is."""
    shares, wrong, spent = [], [], []
    for number, samples in enumerate(catalogue, 1):
        if len(samples) < 20 * SAMPLE_RATE:
            continue
        copy = landmarks_of(np.asarray(change(samples), np.float32))
        began = time.process_time()
        found = find_duplicates(copy, index, SPACE, kept.get)
        spent.append(time.process_time() - began)
        by_track = {one.item_id: one for one in found}
        shares.append(by_track[number].share if number in by_track else 0.0)
        wrong += [one for one in found if one.item_id != number]
    p10, p50, p90 = np.percentile(shares, [10, 50, 90])
    return {
        "copy": name,
        "found": f"{sum(map(bool, shares))} of {len(shares)}",
        "share p10": float(p10),
        "p50": float(p50),
        "p90": float(p90),
        "others found": len(wrong),
        "CPU ms": float(np.median(spent)) * 1000,
    }


def strangers(
    others: list[Landmarks], index: LandmarkIndex, kept: dict[int, Landmarks]
) -> dict[str, float]:
    """What is found for recordings that are in no catalogue; shares below the threshold too."""
    thresholds = duplicates.LEAST_SHARE, duplicates.LEAST_SHARE_AT_SPEED
    found = [find_duplicates(one, index, SPACE, kept.get) for one in others]
    duplicates.LEAST_SHARE = duplicates.LEAST_SHARE_AT_SPEED = 0.0
    try:
        best = [_best(find_duplicates(one, index, SPACE, kept.get)) for one in others]
    finally:
        duplicates.LEAST_SHARE, duplicates.LEAST_SHARE_AT_SPEED = thresholds
    return {
        "asked": len(others),
        "with a duplicate": sum(map(bool, found)),
        "share p50": float(np.median(best)),
        "p99": float(np.percentile(best, 99)),
        "largest": max(best),
    }


def _best(found: list[Duplicate]) -> float:
    return max((one.share for one in found), default=0.0)


def measure_speed(songs: list[Landmarks], tracks: int, seconds: int) -> dict[str, float]:
    """A whole catalogue asked for each of its tracks, in threads."""
    rng = np.random.default_rng(5)
    kept = dict(enumerate(_made(rng, songs, tracks, seconds), 1))
    copies = tracks // 50
    for number in range(1, copies + 1):  # the last ones are copies of the first
        kept[tracks - number + 1] = _copy(rng, kept[number])
    with tempfile.TemporaryDirectory() as folder:
        index = SegmentIndex(Path(folder))
        index.create_space(SPACE, TrackPayload.layout)
        entries = (LandmarkEntry(TrackPayload(track_id=n), one) for n, one in kept.items())
        index.rebuild(SPACE, TrackPayload.layout, entries)
        # Of two tracks the faster one finds the other.
        find = partial(_find, kept, index)
        find(1)
        began, spent = time.perf_counter(), time.process_time()
        with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
            found = dict(zip(kept, pool.map(find, kept), strict=True))
        took, spent = time.perf_counter() - began, time.process_time() - spent
    pairs = {tuple(sorted((n, one.item_id))) for n, some in found.items() for one in some}
    true = {(number, tracks - number + 1) for number in range(1, copies + 1)}
    return {
        "tracks": tracks,
        "hours": tracks * seconds / 3600,
        "wall s": took,
        "CPU s": spent,
        "copies": copies,
        "copies found": len(pairs & true),
        "other pairs": len(pairs - true),
    }


def _find(kept: dict[int, Landmarks], index: LandmarkIndex, number: int) -> list[Duplicate]:
    return find_duplicates(
        kept[number], index, SPACE, kept.get, own_id=number, ladder=duplicates.FASTER
    )


def _made(
    rng: np.random.Generator, songs: list[Landmarks], count: int, seconds: int
) -> Iterator[Landmarks]:
    """Tracks of short pieces of songs in any order, moved and shaken, lest two share one.

    Their hashes are as common as those of songs.
    """
    length = int(seconds * FRAMES_PER_S)
    long = [one for one in songs if one.length[0] > 10 * FRAMES_PER_S]
    starts = np.arange(0, length - BLOCK, BLOCK)
    for _ in range(count):
        one = long[rng.integers(len(long))]
        begins = rng.integers(0, int(one.length[0]) - BLOCK, len(starts))
        bounds = np.searchsorted(one.frames, [begins, begins + BLOCK])
        sizes = bounds[1] - bounds[0]
        taken = np.concatenate([np.arange(low, high) for low, high in bounds.T])
        frames = one.frames[taken] + np.repeat(starts - begins, sizes)
        frames = np.clip(frames + rng.integers(-1, 2, len(frames)), 0, length - 1)
        bins = one.bins[taken].astype(np.int64) - LOW_BIN + rng.integers(-3, 4, len(frames))
        bins = (bins + np.repeat(rng.integers(-60, 61, len(starts)), sizes)) % BINS + LOW_BIN
        order = np.lexsort((bins, frames))
        yield Landmarks(
            frames[order].astype(np.int32),
            bins[order].astype(np.uint16),
            one.ranks[taken][order],
            np.array([length], np.int32),
        )


def _copy(rng: np.random.Generator, one: Landmarks) -> Landmarks:
    """As re-encoding leaves it: one peak in five is gone, one in ten is a bin beside."""
    kept = rng.random(len(one.frames)) > 0.2
    bins = one.bins[kept].astype(np.int64) + (rng.random(int(kept.sum())) < 0.1)
    return Landmarks(one.frames[kept], bins.astype(np.uint16), one.ranks[kept], one.length)


if __name__ == "__main__":
    main()
