"""The vector index behind a narrow protocol; rows are windows, answers are tracks."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from audiosearch.engine.analyzers.base import FloatArray

MAX_WINDOWS_PER_TRACK = 1 << 20


def window_id(track_id: int, number: int) -> int:
    """Primary key of a track's window: the same for the same window, so an upsert repairs."""
    return track_id * MAX_WINDOWS_PER_TRACK + number


@dataclass(frozen=True)
class TrackFields:
    """What a search can filter by; copied onto every window of the track.

    added_at in whole seconds since 1970 UTC; collection_id 0 means none.
    """

    track_id: int
    kind: str = "sound"
    collection_id: int = 0
    tags: tuple[str, ...] = ()
    duration_ms: int = 0
    added_at: int = 0


@dataclass(frozen=True)
class TrackWindows:
    """All windows of one track.

    embeddings: (n, dimension) float32 of unit length; spans: n pairs of start and end in ms.
    """

    fields: TrackFields
    embeddings: FloatArray
    spans: Sequence[tuple[int, int]]


@dataclass(frozen=True)
class Filter:
    """What a hit must satisfy; an empty field asks nothing. Ranges include both ends.

    tags: all of them. kinds, collection_ids: any of them. exclude_…: none of them.
    """

    collection_ids: tuple[int, ...] = ()
    tags: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    min_duration_ms: int | None = None
    max_duration_ms: int | None = None
    added_from: int | None = None
    added_to: int | None = None
    exclude_track_ids: tuple[int, ...] = ()
    exclude_collection_ids: tuple[int, ...] = ()


@dataclass(frozen=True)
class Match:
    """A track found: the cosine distance (0 same, 2 opposite) of its best window, and its place."""

    track_id: int
    distance: float
    start_ms: int
    end_ms: int
    query_window: int = field(default=0, compare=False)


class VectorIndex(Protocol):
    """The same contract for Milvus and for the exact twin; see tests/…/index_contract.

    Every method raises IndexUnavailable when the index does not answer in time, and SpaceMissing
    when the space was never created.
    """

    def create_space(self, space: str, dimension: int) -> None:
        """Create the space if it does not exist; a no-op when it does."""

    def drop_space(self, space: str) -> None:
        """Remove the space and its vectors; a no-op when it does not exist."""

    def spaces(self) -> list[str]:
        """Names of the spaces that exist."""

    def upsert(self, space: str, tracks: Sequence[TrackWindows]) -> None:
        """Write all windows of these tracks; a window already there is replaced. Visible to the
        next search. A track whose window count shrank must be deleted first."""

    def delete_tracks(self, space: str, track_ids: Sequence[int]) -> None:
        """Remove these tracks' windows, visible to the next search; unknown ids are ignored."""

    def search(self, space: str, queries: FloatArray, top_k: int, where: Filter) -> list[Match]:
        """The `top_k` nearest tracks, best first, at most one match per track.

        queries: (n, dimension) float32 of unit length; a track's distance is the smallest between
        any query and any of its windows.
        """

    def count_tracks(self, space: str, where: Filter) -> int:
        """How many tracks satisfy the filter."""

    def window_counts(self, space: str) -> dict[int, int]:
        """Track id to number of windows for the whole space, read with strong consistency."""

    def rebuild(self, space: str, dimension: int, tracks: Iterable[TrackWindows]) -> None:
        """Build the space anew beside the old one from `tracks` and switch in one step; searches
        see the old one whole until they see the new one whole."""

    def outgrown(self, space: str) -> bool:
        """Whether a rebuild would give the space an index that suits its size better."""

    def ping(self) -> None:
        """Return when the index answers."""
