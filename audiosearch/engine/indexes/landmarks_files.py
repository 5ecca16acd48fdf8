"""A segment of landmark postings as a folder of NumPy files, written once and then only mapped.

All tracks of a segment lie on one line of frames, each from a multiple of BLOCK on and followed by
at least GAP empty ones; see `landmarks_voting.Segment`.
"""

import os
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiosearch.engine.analyzers.landmarks.hashes import HASHES
from audiosearch.engine.indexes.landmarks_voting import BLOCK, GAP, Bounds, Segment

TABLE_FROM = 4_000_000
"""Postings from which on one pointer for every hash there may be (16.8 MB) is no waste."""
LARGEST_LINE = 2**32
CHECKED_BYTES = 64_000_000
"""Files of up to this size are read through and compared with their sums as they are opened."""
CHUNK = 1 << 20
Sums = dict[str, tuple[int, int]]
"""Of every file its size in bytes and the CRC-32 of its bytes."""


class DamagedSegment(ValueError):
    """A file of a segment is not what was written; the segment must be built anew."""


_reading = Lock()
"""NumPy parses headers by `ast`, which in several threads at once may raise a SystemError."""


@dataclass(frozen=True)
class SegmentFiles:
    """The arrays of a segment of t tracks, p postings of u different hashes, and n peaks.

    postings: (p,) uint32, frames on the segment's line, ordered by hash, then frame.
    hashes: (u,) uint32 ascending; empty where `pointers` has one entry for every hash there may be.
    pointers: (u + 1,) or (HASHES + 1,) uint32, where the postings of each hash begin.
    peak_frames: (n,) uint32 on the line, ascending; peak_bins: (n,) uint16, with ranks.
    blocks: int32, the local number of the track that each BLOCK frames of the line belong to.
    tracks: (t, 4) int64: start on the line, length in frames, postings, peaks.
    """

    postings: NDArray[np.uint32]
    hashes: NDArray[np.uint32]
    pointers: NDArray[np.uint32]
    peak_frames: NDArray[np.uint32]
    peak_bins: NDArray[np.uint16]
    blocks: NDArray[np.int32]
    tracks: NDArray[np.int64]

    def laid_out(self, item_ids: NDArray[np.int64]) -> Segment:
        """As voting takes it, with the items that its tracks are of."""
        return Segment(
            item_ids=item_ids,
            starts=np.ascontiguousarray(self.tracks[:, 0]),
            blocks=self.blocks,
            hashes=self.hashes,
            posts=self.postings,
            peak_frames=self.peak_frames,
            peak_bins=self.peak_bins,
        )

    def bounds(self, hashes: NDArray[np.int64]) -> Bounds:
        """Where the postings of each of these hashes begin and end; any number may be asked for."""
        known = (hashes >= 0) & (hashes < HASHES)
        asked = np.where(known, hashes, 0)
        if not len(self.hashes):
            at = asked if len(self.pointers) > 1 else np.zeros_like(asked)
            known &= len(self.pointers) > 1
        else:
            at = np.searchsorted(self.hashes, asked.astype(np.uint32))
            at[at == len(self.hashes)] = 0
            known &= self.hashes[at] == asked
        begins = self.pointers[at].astype(np.int64)
        ends = self.pointers[np.minimum(at + 1, len(self.pointers) - 1)].astype(np.int64)
        return np.where(known, begins, 0), np.where(known, ends, 0)


@dataclass(frozen=True)
class TrackPostings:
    """What a segment is written of: a track's hashes with their frames, and all its peaks.

    Frames count from the track's beginning and ascend.
    """

    hashes: NDArray[np.uint32]
    frames: NDArray[np.int32]
    peak_frames: NDArray[np.int32]
    peak_bins: NDArray[np.uint16]
    length: int


def line_of(lengths: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Where tracks of these lengths start on a line, and its blocks. Raises ValueError if full."""
    spans = (lengths + GAP + BLOCK - 1) // BLOCK
    ends = np.cumsum(spans)
    if len(ends) and ends[-1] * BLOCK >= LARGEST_LINE:
        raise ValueError("A segment has no room for so many hours.")
    return (ends - spans) * BLOCK, np.repeat(np.arange(len(lengths), dtype=np.int32), spans)


def write_segment(folder: Path, tracks: Sequence[TrackPostings]) -> Sums:
    """Write these tracks as a new segment, locally numbered in this order; safe on disk on return.

    Raises OSError, and ValueError when they are more than a segment holds.
    """
    lengths = np.asarray([track.length for track in tracks], np.int64)
    starts, blocks = line_of(lengths)
    keys = _joined(
        (each.hashes.astype(np.uint64) << np.uint64(32)) | _shifted(each.frames, start)
        for each, start in zip(tracks, starts, strict=True)
    )
    keys.sort()
    hashes = (keys >> np.uint64(32)).astype(np.uint32)
    sizes = [(len(each.hashes), len(each.peak_frames)) for each in tracks]
    folder.mkdir()
    save(folder, "postings", keys.astype(np.uint32))
    save_pointers(folder, *np.unique(hashes, return_counts=True))
    pairs = zip(tracks, starts, strict=True)
    peak_frames = _joined(_shifted(each.peak_frames, start) for each, start in pairs)
    save(folder, "peak_frames", peak_frames.astype(np.uint32))
    bins = [np.zeros(0, np.uint16), *(each.peak_bins for each in tracks)]
    save(folder, "peak_bins", np.concatenate(bins).astype(np.uint16))
    save(folder, "blocks", blocks)
    counts = np.asarray(sizes, np.int64).reshape(-1, 2)
    save(folder, "tracks", np.column_stack([starts, lengths, counts]))
    return seal(folder)


def save(folder: Path, name: str, array: NDArray[Any]) -> None:
    """Write one of a segment's files."""
    np.save(folder / f"{name}.npy", array, allow_pickle=False)


def save_pointers(folder: Path, hashes: NDArray[np.uint32], counts: NDArray[np.int64]) -> None:
    """Write `hashes` and `pointers` of these hashes, ascending, with so many postings each."""
    if counts.sum() >= TABLE_FROM:
        every = np.zeros(HASHES, np.int64)
        every[hashes] = counts
        hashes, counts = np.zeros(0, np.uint32), every
    save(folder, "hashes", hashes)
    save(folder, "pointers", np.concatenate([[0], np.cumsum(counts)]).astype(np.uint32))


def seal(folder: Path) -> Sums:
    """Bring all files of a folder to the disk for good, and return their sums."""
    sums = {}
    for path in sorted(folder.glob("*.npy")):
        sums[path.stem] = _sum(path)
        sync(path)
    sync(folder)
    return sums


def sync(path: Path) -> None:
    """Wait until a file, or what a folder lists, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def open_segment(folder: Path, sums: Sums, *, thorough: bool = False) -> SegmentFiles:
    """Map a segment; the largest files are only compared with their sums when `thorough`.

    Raises FileNotFoundError when a file is missing, and DamagedSegment.
    """
    arrays = {}
    for name in (field.name for field in fields(SegmentFiles)):
        path = folder / f"{name}.npy"
        size, checksum = sums[name]
        if path.stat().st_size != size:
            raise DamagedSegment(f"{name} has another size than was written.")
        if (thorough or size <= CHECKED_BYTES) and _sum(path)[1] != checksum:
            raise DamagedSegment(f"{name} has other bytes than were written.")
        try:
            with _reading:
                arrays[name] = np.load(path, mmap_mode="r", allow_pickle=False).view(np.ndarray)
        except (ValueError, EOFError) as error:
            raise DamagedSegment(f"{name} is no array.") from error
    return SegmentFiles(**arrays)


def _sum(path: Path) -> tuple[int, int]:
    """Size and CRC-32 of a file."""
    size = checksum = 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            size += len(chunk)
            checksum = zlib.crc32(chunk, checksum)
    return size, checksum


def _shifted(frames: NDArray[np.int32], start: int) -> NDArray[np.uint64]:
    return frames.astype(np.uint64) + np.uint64(start)


def _joined(arrays: Iterator[NDArray[np.uint64]]) -> NDArray[np.uint64]:
    return np.concatenate([np.zeros(0, np.uint64), *arrays])
