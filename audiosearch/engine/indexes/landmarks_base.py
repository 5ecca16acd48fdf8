"""The index of landmarks behind a narrow protocol; candidates are places in tracks.

A query's hashes are looked up, and what they have in common with a track at one offset votes for
it. What is voted for most is handed out with the track's peaks around, to be verified.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from audiosearch.engine.analyzers.landmarks.representation import Landmarks
from audiosearch.engine.indexes.filters import TrackFilter
from audiosearch.engine.indexes.payloads import Layout, TrackPayload

PER_ITEM = 16
"""Candidates of one track at most, so that one that repeats does not take the place of others."""
MARGIN = 8
"""Frames before and behind a candidate of which peaks are handed out too."""
STRETCH = 1.1
"""A query played too fast covers so much more of the track."""
LONGEST_QUERY = 4096
"""Frames: 95 s."""


@dataclass(frozen=True)
class LandmarkEntry:
    """One track with its landmarks."""

    payload: TrackPayload
    landmarks: Landmarks

    @property
    def nbytes(self) -> int:
        """Size of the landmarks."""
        return sum(array.nbytes for array in self.landmarks.arrays().values())


@dataclass(frozen=True)
class LandmarkQuery:
    """Hashes to look up; those of what is nearly the same pair of peaks are included.

    hashes: (n,) int64 below HASHES; frames: (n,) int32, in the query; weights: (n,) float32 in
    0..1; length: of the query in frames, at most LONGEST_QUERY.
    """

    hashes: NDArray[np.int64]
    frames: NDArray[np.int32]
    weights: NDArray[np.float32]
    length: int


@dataclass(frozen=True)
class Candidates:
    """Places where the query may have been taken from, those with most votes first.

    item_ids: (n,) int64; offsets: (n,) int32, frame of the track at which the query begins, may be
    negative; votes: (n,) float32; peak_starts: (n + 1,) int64, where each one's peaks begin in
    peak_frames, int32, relative to the offset, peak_bins, int32, and peak_ranks, uint8.
    """

    item_ids: NDArray[np.int64]
    offsets: NDArray[np.int32]
    votes: NDArray[np.float32]
    peak_starts: NDArray[np.int64]
    peak_frames: NDArray[np.int32]
    peak_bins: NDArray[np.int32]
    peak_ranks: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.item_ids)


class LandmarkIndex(Protocol):
    """The same contract for all implementations; see tests/landmark_index_contract.py.

    Every method raises IndexUnavailable when the index does not answer in time, and SpaceMissing
    when the space was never created or is outdated, as those of `VectorIndex` do.
    """

    def create_space(self, space: str, layout: Layout) -> None:
        """Create the space if it does not exist; a no-op when it does."""

    def drop_space(self, space: str) -> None:
        """Remove the space and its landmarks; a no-op when it does not exist."""

    def spaces(self) -> list[str]:
        """Names of the spaces that exist."""

    def upsert(self, space: str, entries: Sequence[LandmarkEntry]) -> None:
        """Write these tracks; one already there is replaced. Visible to the next query."""

    def delete_items(self, space: str, item_ids: Sequence[int]) -> None:
        """Remove these tracks, visible to the next query; unknown ids are ignored."""

    def candidates(
        self, space: str, query: LandmarkQuery, top: int, where: TrackFilter
    ) -> Candidates:
        """The `top` places with most votes in tracks that satisfy the filter, PER_ITEM of each.

        The filter is applied while votes are gathered: what it leaves out takes nobody's place.
        Peaks are those from MARGIN frames before the offset to MARGIN frames behind STRETCH times
        the query's length.
        """

    def count_items(self, space: str, where: TrackFilter) -> int:
        """How many tracks satisfy the filter."""

    def item_lengths(self, space: str) -> dict[int, int]:
        """Track id to number of peaks for the whole space."""

    def rebuild(self, space: str, layout: Layout, entries: Iterable[LandmarkEntry]) -> None:
        """Build the space anew beside the old one from `entries` and switch in one step; queries
        see the old one whole until they see the new one whole."""

    def outgrown(self, space: str) -> bool:
        """Whether a rebuild would give the space an index that suits its size better."""

    def outdated(self, space: str, layout: Layout) -> bool:
        """Whether the space exists, but with other columns, so that it must be rebuilt."""

    def size_bytes(self, space: str) -> int:
        """About how much its postings, peaks and payloads take."""

    def ping(self) -> None:
        """Return when the index answers."""
