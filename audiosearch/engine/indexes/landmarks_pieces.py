"""Segments in the making: complete on disk, and in no ledger yet."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

import numpy as np

from audiosearch.engine.analyzers.landmarks.hashes import hashes_of
from audiosearch.engine.analyzers.landmarks.representation import Landmarks
from audiosearch.engine.indexes.landmarks_base import LandmarkEntry
from audiosearch.engine.indexes.landmarks_columns import payload_text
from audiosearch.engine.indexes.landmarks_files import (
    Sums,
    TrackPostings,
    open_segment,
    write_segment,
)
from audiosearch.engine.indexes.landmarks_ledger import SegmentRow, Slot
from audiosearch.engine.indexes.landmarks_merging import Source, merge_segments
from audiosearch.engine.indexes.landmarks_voting import bins_and_ranks

PIECE = 4_000_000
"""Postings that are sorted in memory at once, 22 h; larger segments are merged of such pieces."""


@dataclass(frozen=True)
class Piece:
    """A segment on disk, and the tracks that it has, in their order.

    Slots of a merged one still say where the tracks were.
    """

    path: Path
    sums: Sums
    slots: list[Slot]

    @property
    def row(self) -> SegmentRow:
        """As a ledger would have it, without a number."""
        dead = sum(slot.postings for slot in self.slots if not slot.alive)
        return SegmentRow(0, sum(slot.postings for slot in self.slots), dead, self.sums)


def write_pieces(folder: Path, entries: Iterable[LandmarkEntry]) -> Iterator[Piece]:
    """These tracks as segments in the folder, each of at most about PIECE postings."""
    tracks: list[TrackPostings] = []
    slots: list[Slot] = []
    postings = 0
    for entry in entries:
        track = _postings_of(entry.landmarks)
        if tracks and postings + len(track.hashes) > PIECE:
            yield _written(folder, tracks, slots)
            tracks, slots, postings = [], [], 0
        tracks.append(track)
        slots.append(_slot_of(entry, len(slots), len(track.hashes)))
        postings += len(track.hashes)
    if tracks:
        yield _written(folder, tracks, slots)


def merge_pieces(folder: Path, sources: Sequence[Piece]) -> Piece:
    """One piece of the living tracks of several.

    Raises DamagedSegment and FileNotFoundError where one is not what was written.
    """
    kept = [
        Source(
            open_segment(source.path, source.sums, thorough=True),
            np.asarray([slot.alive for slot in source.slots], np.bool_),
        )
        for source in sources
    ]
    path = folder / uuid4().hex
    sums = merge_segments(path, kept)
    return Piece(path, sums, [slot for source in sources for slot in source.slots if slot.alive])


def latest_only(pieces: Sequence[Piece]) -> list[Piece]:
    """The same pieces, in which of an item that comes several times only the last one lives."""
    seen: set[int] = set()
    found = []
    for piece in reversed(pieces):
        slots = []
        for slot in reversed(piece.slots):
            dead = replace(slot, alive=False, payload="", digest=b"")
            slots.append(dead if slot.item in seen else slot)
            seen.add(slot.item)
        found.append(replace(piece, slots=slots[::-1]))
    return found[::-1]


def digest_of(landmarks: Landmarks) -> bytes:
    """By which the same landmarks are known."""
    digest = hashlib.blake2b(digest_size=16)
    for array in landmarks.arrays().values():
        digest.update(f"{array.dtype} {len(array)} ".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.digest()


def _postings_of(landmarks: Landmarks) -> TrackPostings:
    hashes, frames = hashes_of(landmarks)
    bins, length = bins_and_ranks(landmarks), int(landmarks.length[0])
    return TrackPostings(hashes, frames, landmarks.frames, bins, length)


def _slot_of(entry: LandmarkEntry, local: int, postings: int) -> Slot:
    return Slot(
        segment=0,
        local=local,
        item=entry.payload.item_id,
        alive=True,
        postings=postings,
        digest=digest_of(entry.landmarks),
        payload=payload_text(entry.payload),
    )


def _written(folder: Path, tracks: Sequence[TrackPostings], slots: list[Slot]) -> Piece:
    path = folder / uuid4().hex
    return Piece(path, write_segment(path, tracks), slots)
