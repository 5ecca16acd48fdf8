"""Landmarks: peaks, the same whatever the blocks and the gain, and what is hashed of them."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from audiosearch.engine.analyzers.landmarks.analyzer import PEAKS_PER_SECOND, LandmarkAnalyzer
from audiosearch.engine.analyzers.landmarks.hashes import (
    FARTHEST_FRAMES,
    HASHED_PER_SECOND,
    HASHES,
    NEAREST_FRAMES,
    WIDEST_BINS,
    hash_pairs,
    hashes_of,
)
from audiosearch.engine.analyzers.landmarks.representation import Landmarks
from audiosearch.engine.analyzers.landmarks.spectrum import HIGH_BIN, HOP, LOW_BIN, SAMPLE_RATE
from audiosearch.engine.arrays import FloatArray
from tests.landmark_sounds import analysed, made_song

ROOT = Path(__file__).parents[2]


def same(one: Landmarks, other: Landmarks) -> bool:
    pairs = zip(one.arrays().values(), other.arrays().values(), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


@pytest.fixture(scope="module")
def song() -> FloatArray:
    return made_song(1, seconds=70)


def test_what_is_kept_of_a_recording(song: FloatArray) -> None:
    found = analysed(song)
    assert [array.dtype.name for array in found.arrays().values()] == [
        "int32",
        "uint16",
        "uint8",
        "int32",
    ]
    frames, seconds = int(found.length[0]), len(song) / SAMPLE_RATE
    assert frames == 1 + (len(song) - 1024) // HOP
    assert 15 < len(found.frames) / seconds <= PEAKS_PER_SECOND
    assert found.ranks.max() == PEAKS_PER_SECOND - 1
    assert (found.bins >= LOW_BIN).all() and (found.bins < HIGH_BIN).all()
    order = found.frames.astype(np.int64) * 1000 + found.bins
    assert (np.diff(order) > 0).all()
    second = found.frames.astype(np.int64) * HOP // SAMPLE_RATE
    assert np.unique(second * 100 + found.ranks).size == len(second)
    assert sum(array.nbytes for array in found.arrays().values()) * 3600 / seconds < 700_000


@pytest.mark.parametrize("block", [1000, 8192, SAMPLE_RATE * 40])
def test_blocks_change_nothing(song: FloatArray, block: int) -> None:
    stream = LandmarkAnalyzer(Path()).begin(70_000, SAMPLE_RATE)
    for begin in range(0, len(song), block):
        stream.feed(song[begin : begin + block])
        stream.feed(song[:0])
    assert same(stream.finish(), analysed(song))


def test_parts_are_analysed_as_the_whole_is(song: FloatArray) -> None:
    """The border between two parts is nothing special: peaks there are those of a recording that
    begins elsewhere."""
    shift = 5 * SAMPLE_RATE // HOP * HOP
    whole, later = analysed(song), analysed(song[shift:])
    border = range(32 * SAMPLE_RATE // HOP - 200, 32 * SAMPLE_RATE // HOP + 200)
    one = {(f, b) for f, b in zip(whole.frames, whole.bins, strict=True) if f in border}
    frames = later.frames + shift // HOP
    other = {(f, b) for f, b in zip(frames, later.bins, strict=True) if f in border}
    assert len(one & other) > 0.9 * max(len(one), len(other)) > 50


def test_memory_is_bounded() -> None:
    stream = LandmarkAnalyzer(Path()).begin(0, SAMPLE_RATE)
    noise = np.random.default_rng(0).normal(0, 0.1, SAMPLE_RATE).astype(np.float32)
    for _ in range(100):
        stream.feed(noise)
        assert sum(len(block) for block in stream._blocks) < 40 * SAMPLE_RATE
    assert len(stream.finish().frames) > 2000


def test_gain_changes_next_to_nothing(song: FloatArray) -> None:
    loud, quiet = analysed(song), analysed(song * np.float32(0.03))
    both = set(zip(loud.frames, loud.bins, strict=True)) & set(
        zip(quiet.frames, quiet.bins, strict=True)
    )
    assert len(both) > 0.9 * len(loud.frames)


@pytest.mark.parametrize("samples", [0, 1, 1023, 1024, 1025, 3000])
def test_short_sounds(samples: int) -> None:
    found = analysed(made_song(2, seconds=1)[:samples])
    assert found.length[0] == max(0, 1 + (samples - 1024) // HOP)
    assert len(hashes_of(found)[0]) == len(hashes_of(found)[1])


def test_digital_silence_has_no_peaks() -> None:
    silence = np.zeros(SAMPLE_RATE * 3, np.float32)
    assert len(hashes_of(analysed(silence))[0]) == 0


def test_hashes_tell_the_pair(song: FloatArray) -> None:
    found = analysed(song)
    hashes, frames = hashes_of(found)
    assert hashes.dtype == np.uint32 and frames.dtype == np.int32
    assert hashes.max() < HASHES
    peaks = {
        (int(f), int(b))
        for f, b, r in zip(found.frames, found.bins, found.ranks, strict=True)
        if r < HASHED_PER_SECOND
    }
    for packed, frame in list(zip(hashes, frames, strict=True))[:500]:
        first, wider, later = packed >> 13, (packed >> 6) & 127, packed & 63
        assert (frame, first) in peaks
        assert (frame + later, int(first) + int(wider) - WIDEST_BINS) in peaks


def test_pairs_keep_to_their_limits() -> None:
    frames = np.array([0, 1, 2, 2, 10, 63, 64, 65], np.int32)
    bins = np.array([20, 20, 20, 84, 83, 20, 20, 20], np.int32)
    hashes, firsts = hash_pairs(frames, bins, 8)
    found = {
        (int(first), int(first + (packed & 63)), int(packed >> 13), int((packed >> 6) & 127) - 63)
        for packed, first in zip(hashes, firsts, strict=True)
    }
    assert {(0, 2, 20, 0), (0, 10, 20, 63), (0, 63, 20, 0), (2, 65, 20, 0)} <= found
    for first, second, _, higher in found:
        assert NEAREST_FRAMES <= second - first < FARTHEST_FRAMES
        assert abs(higher) <= WIDEST_BINS


def test_numba_is_not_loaded_by_whom_analyses_only() -> None:
    code = (
        "import sys\n"
        "import audiosearch.engine.indexes.landmarks_exact\n"
        "from tests.landmark_sounds import analysed, made_song\n"
        "assert len(analysed(made_song(1, seconds=3)).frames)\n"
        "assert 'numba' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_where_nothing_can_be_written_it_is_compiled_all_the_same(tmp_path: Path) -> None:
    """A function whose file is not on disk is one that numba finds no place for."""
    code = (
        "namespace = {}\n"
        "exec('def twice(x):\\n    return 2 * x\\n', namespace)\n"
        "from audiosearch.engine.compiled import compiled\n"
        "twice = compiled(namespace['twice'])\n"
        "assert twice(4) == 8 and twice.signatures\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
