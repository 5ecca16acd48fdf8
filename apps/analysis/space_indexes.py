"""Every space in the index of its kind, behind one face, whatever the index holds of an item."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from apps.analysis.holdings import HOLDINGS
from apps.analysis.index import get_index, get_landmark_index
from apps.analysis.models import Space, SpaceKind
from audiosearch.engine.errors import SpaceMissing
from audiosearch.engine.indexes.filters import EnrolmentFilter, Filter, TrackFilter
from audiosearch.engine.indexes.landmarks_segments import SegmentIndex
from audiosearch.engine.indexes.payloads import Layout


@dataclass(frozen=True)
class SpaceIndex(ABC):
    """One space of an index; its methods are those of `VectorIndex`, and raise the same."""

    space: Space

    @property
    def name(self) -> str:
        return self.space.name

    @property
    @abstractmethod
    def _index(self) -> Any:
        """The index that the space is in."""

    def exists(self) -> bool:
        return self.name in self._index.spaces()

    @abstractmethod
    def create(self, layout: Layout) -> None:
        """Create the space if it does not exist."""

    @abstractmethod
    def rebuild(self, layout: Layout, entries: Iterable[Any]) -> None:
        """Build the space anew from `entries` and switch to it in one step."""

    @abstractmethod
    def counts(self) -> dict[int, int]:
        """How many vectors or landmarks it holds of each item."""

    @abstractmethod
    def probe(self) -> None:
        """Search it once, as people do; raises IndexUnreadable when its files are damaged."""

    def merge(self) -> bool:
        """Let it suit its size without a rebuild; False where there is no such way."""
        return False

    def rewrite(self) -> bool:
        """Leave no byte of what was deleted, without a rebuild; False where this cannot be."""
        return False

    def drop(self) -> None:
        self._index.drop_space(self.name)

    def upsert(self, entries: Sequence[Any]) -> None:
        self._index.upsert(self.name, entries)

    def delete(self, item_ids: Collection[int]) -> None:
        self._index.delete_items(self.name, list(item_ids))

    def outgrown(self) -> bool:
        return bool(self._index.outgrown(self.name))

    def outdated(self, layout: Layout) -> bool:
        return bool(self._index.outdated(self.name, layout))

    def size_bytes(self) -> int:
        """About how much it takes; 0 when it is not there."""
        try:
            return int(self._index.size_bytes(self.name))
        except SpaceMissing:
            return 0


class _Vectors(SpaceIndex):
    @property
    def _index(self) -> Any:
        return get_index()

    def create(self, layout: Layout) -> None:
        self._index.create_space(self.name, self.space.dimension, layout)

    def rebuild(self, layout: Layout, entries: Iterable[Any]) -> None:
        self._index.rebuild(self.name, self.space.dimension, layout, entries)

    def counts(self) -> dict[int, int]:
        return dict(self._index.window_counts(self.name))

    def probe(self) -> None:
        voices = self.space.kind == SpaceKind.SPEAKER
        where: Filter = EnrolmentFilter(consent_at=0) if voices else TrackFilter()
        dimension = self.space.dimension
        vector = np.full((1, dimension), dimension**-0.5, dtype=np.float32)
        self._index.search(self.name, vector, 1, where)


class _Landmarks(SpaceIndex):
    @property
    def _index(self) -> Any:
        return get_landmark_index()

    def create(self, layout: Layout) -> None:
        self._index.create_space(self.name, layout)

    def rebuild(self, layout: Layout, entries: Iterable[Any]) -> None:
        self._index.rebuild(self.name, layout, entries)

    def counts(self) -> dict[int, int]:
        return dict(self._index.item_lengths(self.name))

    def probe(self) -> None:
        self._index.count_items(self.name, TrackFilter())

    def merge(self) -> bool:
        if not isinstance(self._index, SegmentIndex):
            return False
        self._index.merge(self.name)
        return True

    def rewrite(self) -> bool:
        if not isinstance(self._index, SegmentIndex):
            return False
        self._index.rewrite(self.name)
        return True


def size_of(space: Space) -> int:
    """Bytes that a space takes in its index, about; 0 when it is in none."""
    return index_of(space).size_bytes() if space.kind in HOLDINGS else 0


def index_of(space: Space) -> SpaceIndex:
    """A space of a kind in HOLDINGS, in its index."""
    return _Landmarks(space) if space.kind == SpaceKind.LANDMARKS else _Vectors(space)
