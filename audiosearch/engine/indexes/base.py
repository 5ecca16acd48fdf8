"""The vector index behind a narrow protocol; rows are windows, answers are items.

A space holds items of one kind, such as tracks: their windows' embeddings, and their payloads.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from audiosearch.engine.arrays import FloatArray
from audiosearch.engine.indexes.filters import Filter
from audiosearch.engine.indexes.payloads import Layout, Payload

MAX_WINDOWS_PER_ITEM = 1 << 20


def window_id(item_id: int, number: int) -> int:
    """Primary key of an item's window: the same for the same window, so an upsert repairs."""
    return item_id * MAX_WINDOWS_PER_ITEM + number


@dataclass(frozen=True)
class Entry:
    """One item with all its windows.

    embeddings: (n, dimension) float32 of unit length; spans: n pairs of start and end in ms.
    """

    payload: Payload
    embeddings: FloatArray
    spans: Sequence[tuple[int, int]]

    @property
    def nbytes(self) -> int:
        """Size of the embeddings."""
        return self.embeddings.nbytes


@dataclass(frozen=True)
class Match:
    """An item found: the cosine distance (0 same, 2 opposite) of its best window, and its place."""

    item_id: int
    distance: float
    start_ms: int
    end_ms: int
    query_window: int = field(default=0, compare=False)


@dataclass(frozen=True)
class WindowHits:
    """Windows found, (n,) each: by query vector in their order, and of each the nearest first.

    queries: int64, which query vector found it; item_ids: int64; starts_ms: int64, where the
    window begins; similarities: float32, cosines (1 same, -1 opposite).
    """

    queries: NDArray[np.int64]
    item_ids: NDArray[np.int64]
    starts_ms: NDArray[np.int64]
    similarities: FloatArray

    @classmethod
    def none(cls) -> "WindowHits":
        """Nothing found."""
        nothing = np.zeros(0, np.int64)
        return cls(nothing, nothing, nothing, np.zeros(0, np.float32))

    def __len__(self) -> int:
        return len(self.queries)


class VectorIndex(Protocol):
    """The same contract for Milvus and for the exact twin; see tests/index_contract.py.

    Every method raises IndexUnavailable when the index does not answer in time, and SpaceMissing
    when the space was never created. To upsert, search or count in a space that is outdated raises
    SpaceMissing too.
    """

    def create_space(self, space: str, dimension: int, layout: Layout) -> None:
        """Create the space if it does not exist; a no-op when it does."""

    def drop_space(self, space: str) -> None:
        """Remove the space and its vectors; a no-op when it does not exist."""

    def spaces(self) -> list[str]:
        """Names of the spaces that exist."""

    def upsert(self, space: str, entries: Sequence[Entry]) -> None:
        """Write all windows of these items; a window already there is replaced. Visible to the
        next search. An item whose window count shrank must be deleted first."""

    def delete_items(self, space: str, item_ids: Sequence[int]) -> None:
        """Remove these items' windows, visible to the next search; unknown ids are ignored."""

    def search(self, space: str, queries: FloatArray, top_k: int, where: Filter) -> list[Match]:
        """The `top_k` nearest items, best first, at most one match per item.

        queries: (n, dimension) float32 of unit length; an item's distance is the smallest between
        any query and any of its windows.
        """

    def nearest_windows(
        self, space: str, queries: FloatArray, limit: int, where: Filter
    ) -> WindowHits:
        """For each query vector the `limit` nearest windows of items that satisfy the filter, or
        all there are; a graph may miss some.

        queries: (n, dimension) float32 of unit length; limit: at most 16,384.
        """

    def item_ids(self, space: str, where: Filter, most: int) -> list[int]:
        """Ids of at most `most` items (up to 16,384) that satisfy the filter, in no order; when it
        holds for more, whichever the index gives first."""

    def count_items(self, space: str, where: Filter) -> int:
        """How many items satisfy the filter."""

    def window_counts(self, space: str) -> dict[int, int]:
        """Item id to number of windows for the whole space, read with strong consistency."""

    def rebuild(self, space: str, dimension: int, layout: Layout, entries: Iterable[Entry]) -> None:
        """Build the space anew beside the old one from `entries` and switch in one step; searches
        see the old one whole until they see the new one whole."""

    def outgrown(self, space: str) -> bool:
        """Whether a rebuild would give the space an index that suits its size better."""

    def outdated(self, space: str, layout: Layout) -> bool:
        """Whether the space exists, but with other columns, so that it must be rebuilt."""

    def size_bytes(self, space: str) -> int:
        """About how much its vectors and payloads take, without the index built on them."""

    def ping(self) -> None:
        """Return when the index answers."""
