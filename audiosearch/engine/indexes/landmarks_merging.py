"""Merging segments of landmark postings: which are due, and how one is made of several.

The logarithmic method (Bentley and Saxe 1980, doi:10.1016/0196-6774(80)90015-2): each segment is
some times larger than all smaller ones together, so that there are few, and each posting is
written anew a few times in all.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audiosearch.engine.analyzers.landmarks.hashes import HASHES
from audiosearch.engine.arrays import BoolArray
from audiosearch.engine.indexes.landmarks_files import (
    SegmentFiles,
    Sums,
    line_of,
    save,
    save_pointers,
    seal,
)
from audiosearch.engine.indexes.landmarks_ledger import SegmentRow
from audiosearch.engine.indexes.landmarks_voting import BLOCK

GROWTH = 2
LARGEST = 32_000_000
"""Postings of a segment at most, 175 h, so that merging one takes neither long nor much room."""
SMALL = 250_000
"""Postings of a segment that is merged in passing, as it takes a moment."""
MANY = 6
DEAD_SHARE = 0.2
"""Of a segment's postings from which on it is written anew without them."""
HASHES_AT_ONCE = 1 << 18


def due(rows: Sequence[SegmentRow], largest: int = LARGEST) -> list[SegmentRow]:
    """The segments to make one of next; none when all is well.

    The largest group of smallest ones of which the last is not GROWTH times the others together;
    else any one with too many dead postings.
    """
    ascending = sorted(rows, key=_alive)
    total, chosen = 0, 0
    for count, row in enumerate(ascending, 1):
        alive = _alive(row)
        if total + alive > largest:
            break
        if count > 1 and alive < GROWTH * total:
            chosen = count
        total += alive
    if chosen:
        return ascending[:chosen]
    wasteful = [row for row in rows if row.dead > DEAD_SHARE * row.postings]
    return wasteful[:1]


def overdue(rows: Sequence[SegmentRow]) -> bool:
    """Whether so much is due that queries or the disk feel it."""
    group = due(rows)
    return len(group) == 1 or len(group) >= MANY


def _alive(row: SegmentRow) -> int:
    """Postings that stay; an empty segment counts too, or there would be any number of them."""
    return max(1, row.postings - row.dead)


def due_in_passing(rows: Sequence[SegmentRow]) -> list[SegmentRow]:
    """The small segments, once there are many."""
    small = [row for row in rows if row.postings <= SMALL]
    return small if len(small) >= MANY else []


@dataclass(frozen=True)
class Source:
    """A segment and which of its tracks go into the merged one."""

    files: SegmentFiles
    kept: BoolArray


def merge_segments(folder: Path, sources: Sequence[Source]) -> Sums:
    """Write the kept tracks of these segments, in this order, as a new one; safe on disk on return.

    What is in memory at once is a sixteenth of the postings. Raises OSError, and ValueError when
    they are more than a segment holds.
    """
    tracks = np.concatenate([source.files.tracks[source.kept] for source in sources])
    starts, blocks = line_of(tracks[:, 1])
    folder.mkdir()
    moves = list(_moves(sources, starts))
    _merge_postings(folder, sources, moves, int(tracks[:, 2].sum()))
    peaks = [_kept(source, source.files.peak_frames) for source in sources]
    pairs = zip(sources, peaks, moves, strict=True)
    moved = [_moved(s, s.files.peak_frames[kept], move) for s, kept, move in pairs]
    save(folder, "peak_frames", np.concatenate(moved))
    bins = [source.files.peak_bins[kept] for source, kept in zip(sources, peaks, strict=True)]
    save(folder, "peak_bins", np.concatenate(bins))
    save(folder, "blocks", blocks)
    tracks[:, 0] = starts
    save(folder, "tracks", tracks)
    return seal(folder)


def _moves(sources: Sequence[Source], starts: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """For each source how far each of its tracks moves on the line; 0 for those not kept."""
    done = 0
    for source in sources:
        count = int(source.kept.sum())
        move = np.zeros(len(source.kept), np.int64)
        move[source.kept] = starts[done : done + count] - source.files.tracks[source.kept, 0]
        done += count
        yield move


def _merge_postings(
    folder: Path, sources: Sequence[Source], moves: Sequence[NDArray[np.int64]], total: int
) -> None:
    path = folder / "postings.npy"
    counts = np.zeros(HASHES, np.int64)
    written = 0
    if not total:
        save(folder, "postings", np.zeros(0, np.uint32))
    else:
        out = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint32, shape=(total,))
        for first in range(0, HASHES, HASHES_AT_ONCE):
            keys = np.concatenate([_keys(s, m, first) for s, m in zip(sources, moves, strict=True)])
            keys.sort()
            out[written : written + len(keys)] = keys.astype(np.uint32)
            written += len(keys)
            own = (keys >> np.uint64(32)).astype(np.int64) - first
            counts[first : first + HASHES_AT_ONCE] = np.bincount(own, minlength=HASHES_AT_ONCE)
        out.flush()
        del out
    if written != total:
        raise ValueError("The segments hold other postings than their tracks say.")
    there = np.flatnonzero(counts).astype(np.uint32)
    save_pointers(folder, there, counts[there])


def _keys(source: Source, move: NDArray[np.int64], first: int) -> NDArray[np.uint64]:
    """Hash and new frame in one, for the kept postings of HASHES_AT_ONCE hashes from `first` on."""
    files = source.files
    if len(files.hashes):
        low, high = np.searchsorted(
            files.hashes, np.asarray([first, first + HASHES_AT_ONCE], np.uint32)
        )
        hashes = files.hashes[low:high]
    elif len(files.pointers) > 1:
        low, high = first, first + HASHES_AT_ONCE
        hashes = np.arange(low, high, dtype=np.uint32)
    else:
        return np.zeros(0, np.uint64)
    pointers = files.pointers[low : high + 1].astype(np.int64)
    frames = files.postings[pointers[0] : pointers[-1]]
    kept = _kept(source, frames)
    repeated = np.repeat(hashes.astype(np.uint64) << np.uint64(32), np.diff(pointers))
    keys: NDArray[np.uint64] = repeated[kept]
    keys += _moved(source, frames[kept], move).astype(np.uint64)
    return keys


def _kept(source: Source, frames: NDArray[np.uint32]) -> BoolArray:
    """Which of these frames are of tracks that are kept."""
    return source.kept[source.files.blocks[frames // BLOCK]]


def _moved(
    source: Source, frames: NDArray[np.uint32], move: NDArray[np.int64]
) -> NDArray[np.uint32]:
    return (frames + move[source.files.blocks[frames // BLOCK]]).astype(np.uint32)
