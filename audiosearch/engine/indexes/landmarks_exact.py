"""The landmark index in the memory of one process: one segment, laid out anew when it changes.

The index of unit tests, notebooks and benchmarks; it shares the voting with the others.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from threading import RLock

import numpy as np
from numpy.typing import NDArray

from audiosearch.engine.errors import SpaceMissing
from audiosearch.engine.indexes.filters import TrackFilter
from audiosearch.engine.indexes.landmarks_base import Candidates, LandmarkEntry, LandmarkQuery
from audiosearch.engine.indexes.landmarks_voting import (
    Segment,
    count_postings,
    lay_out,
    no_candidates,
    opened_blocks,
    posting_bounds,
    vote,
    weigh,
)
from audiosearch.engine.indexes.payloads import Layout


@dataclass
class _Space:
    layout: Layout
    entries: dict[int, LandmarkEntry] = field(default_factory=dict)
    segment: Segment | None = None

    def put(self, entries: Iterable[LandmarkEntry]) -> None:
        self.entries |= {entry.payload.item_id: entry for entry in entries}
        self.segment = None

    def laid_out(self) -> Segment:
        if self.segment is None:
            held = self.entries.items()
            self.segment = lay_out((item_id, entry.landmarks) for item_id, entry in held)
        return self.segment

    def allowed(self, where: TrackFilter) -> NDArray[np.bool_]:
        """Of each track, in the order of the segment."""
        conditions = where.conditions
        held = self.entries.values()
        found = [all(one.holds(entry.payload) for one in conditions) for entry in held]
        return np.array(found, np.bool_)


class ExactLandmarkIndex:
    """LandmarkIndex in the memory of one process; safe to call from several threads."""

    def __init__(self) -> None:
        self._spaces: dict[str, _Space] = {}
        self._lock = RLock()

    def create_space(self, space: str, layout: Layout) -> None:
        with self._lock:
            self._spaces.setdefault(space, _Space(layout))

    def drop_space(self, space: str) -> None:
        with self._lock:
            self._spaces.pop(space, None)

    def spaces(self) -> list[str]:
        with self._lock:
            return sorted(self._spaces)

    def upsert(self, space: str, entries: Sequence[LandmarkEntry]) -> None:
        with self._lock:
            held = self._get(space)
            for entry in entries:
                self._get(space, entry.payload.layout)
            held.put(entries)

    def delete_items(self, space: str, item_ids: Sequence[int]) -> None:
        with self._lock:
            held = self._get(space)
            for item_id in item_ids:
                held.entries.pop(item_id, None)
            held.segment = None

    def candidates(
        self, space: str, query: LandmarkQuery, top: int, where: TrackFilter
    ) -> Candidates:
        with self._lock:
            held = self._get(space, where.layout)
            segment, allowed = held.laid_out(), held.allowed(where)
        if not len(allowed) or top < 1:
            return no_candidates()
        bounds = posting_bounds(segment.hashes, query.hashes)
        opened = opened_blocks(segment, allowed)
        weights = weigh(query, count_postings(segment, bounds, opened), len(segment.posts))
        return vote(segment, bounds, query, weights, top, opened)

    def count_items(self, space: str, where: TrackFilter) -> int:
        with self._lock:
            return int(self._get(space, where.layout).allowed(where).sum())

    def item_lengths(self, space: str) -> dict[int, int]:
        with self._lock:
            held = self._get(space).entries.items()
            return {item_id: len(entry.landmarks.frames) for item_id, entry in held}

    def rebuild(self, space: str, layout: Layout, entries: Iterable[LandmarkEntry]) -> None:
        fresh = _Space(layout)
        fresh.put(entries)
        with self._lock:
            self._spaces[space] = fresh

    def outgrown(self, space: str) -> bool:
        return False

    def outdated(self, space: str, layout: Layout) -> bool:
        with self._lock:
            return space in self._spaces and self._spaces[space].layout != layout

    def size_bytes(self, space: str) -> int:
        with self._lock:
            return self._get(space).laid_out().nbytes

    def ping(self) -> None:
        """Always answers."""

    def _get(self, space: str, layout: Layout | None = None) -> _Space:
        held = self._spaces.get(space)
        if held is None:
            raise SpaceMissing(f'The landmark index has no space "{space}".')
        if layout not in (None, held.layout):
            raise SpaceMissing(f'The space "{space}" has other columns and must be rebuilt.')
        return held
