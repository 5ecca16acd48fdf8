"""The landmark index on this machine's disk: immutable segments that every process maps.

A cache of what is kept of the recordings: `rebuild` makes it anew. Any number of processes and
threads read; they see what was written by their next query, and read only what changed. Memory
holds the columns of the payloads; postings and peaks stay in the page cache.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock

import numpy as np

from audiosearch.engine.errors import IndexUnavailable, SpaceMissing
from audiosearch.engine.indexes import landmarks_writing as writing
from audiosearch.engine.indexes.filters import TrackFilter
from audiosearch.engine.indexes.landmarks_base import Candidates, LandmarkEntry, LandmarkQuery
from audiosearch.engine.indexes.landmarks_ledger import translated
from audiosearch.engine.indexes.landmarks_merging import overdue
from audiosearch.engine.indexes.landmarks_reading import SpaceFolder, SpaceReader, State
from audiosearch.engine.indexes.landmarks_voting import (
    count_postings,
    merge,
    no_candidates,
    vote,
    weigh,
)
from audiosearch.engine.indexes.milvus_schema import decode_space
from audiosearch.engine.indexes.payloads import Layout


class SegmentIndex:
    """LandmarkIndex in a folder of a local disk; safe to call from several threads.

    The disk must know locks and maps, as local ones do; folders of a network are none.
    """

    def __init__(self, folder: Path) -> None:
        self._root = folder
        self._readers: dict[str, SpaceReader] = {}
        self._lock = Lock()

    def create_space(self, space: str, layout: Layout) -> None:
        with translated():
            writing.create(self._folder(space), layout)

    def drop_space(self, space: str) -> None:
        with translated():
            writing.drop(self._folder(space))

    def spaces(self) -> list[str]:
        """Those that can be read; a damaged one is none, until it is rebuilt."""
        found = []
        for path in self._root.iterdir() if self._root.exists() else ():
            space = decode_space(path.name)
            if space is not None and path.is_dir():
                with suppress(SpaceMissing):
                    self._state(space)
                    found.append(space)
        return sorted(found)

    def upsert(self, space: str, entries: Sequence[LandmarkEntry]) -> None:
        self._state(space)
        for layout in {entry.payload.layout for entry in entries}:
            self._state(space, layout)
        if entries:
            with translated():
                writing.upsert(self._folder(space), entries)

    def delete_items(self, space: str, item_ids: Sequence[int]) -> None:
        self._state(space)
        with translated():
            writing.delete(self._folder(space), item_ids)

    def candidates(
        self, space: str, query: LandmarkQuery, top: int, where: TrackFilter
    ) -> Candidates:
        parts = list(self._state(space, where.layout).parts.values())
        if top < 1 or not parts:
            return no_candidates()
        bounds = [part.files.bounds(query.hashes) for part in parts]
        opened = [part.opened(where) for part in parts]
        counts = [
            count_postings(part.segment, each, blocks)
            for part, each, blocks in zip(parts, bounds, opened, strict=True)
        ]
        found = np.sum(counts, axis=0)
        weights = weigh(query, found, sum(len(part.files.postings) for part in parts))
        votes = [
            vote(part.segment, each, query, weights, top, blocks)
            for part, each, blocks in zip(parts, bounds, opened, strict=True)
            if part.columns.allowed(where).any()
        ]
        return merge(votes, top) if votes else no_candidates()

    def count_items(self, space: str, where: TrackFilter) -> int:
        parts = self._state(space, where.layout).parts.values()
        return sum(int(part.columns.allowed(where).sum()) for part in parts)

    def item_lengths(self, space: str) -> dict[int, int]:
        lengths: dict[int, int] = {}
        for part in self._state(space).parts.values():
            alive = np.flatnonzero(part.columns.alive)
            ids, peaks = part.columns.item_ids[alive], part.files.tracks[alive, 3]
            lengths |= dict(zip(ids.tolist(), peaks.tolist(), strict=True))
        return lengths

    def rebuild(self, space: str, layout: Layout, entries: Iterable[LandmarkEntry]) -> None:
        with translated():
            writing.rebuild(self._folder(space), layout, entries)

    def outgrown(self, space: str) -> bool:
        """Whether it is time to `merge`; a rebuild does as much."""
        try:
            state = self._state(space)
        except SpaceMissing:
            return False
        return overdue([part.row for part in state.parts.values()])

    def merge(self, space: str) -> None:
        """Merge what is due, while queries and writers go on; a no-op while another process does.

        Raises SpaceMissing where a segment turns out to be damaged, and IndexUnavailable.
        """
        self._state(space)
        with translated():
            writing.merge(self._folder(space), wait_s=0)

    def rewrite(self, space: str) -> None:
        """Leave no byte of what was deleted or replaced in the space's files.

        Raises IndexUnavailable when that is not sure yet, as somebody still reads them.
        """
        self._state(space)
        with translated():
            writing.rewrite(self._folder(space))

    def outdated(self, space: str, layout: Layout) -> bool:
        try:
            return self._state(space).layout != layout
        except SpaceMissing:
            return False

    def size_bytes(self, space: str) -> int:
        parts = self._state(space).parts.values()
        return sum(size for part in parts for size, _ in part.row.sums.values())

    def ping(self) -> None:
        """Return when the folder can be read."""
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            next(self._root.iterdir(), None)
        except OSError as error:
            raise IndexUnavailable("The folder of landmarks cannot be read.") from error

    def _folder(self, space: str) -> SpaceFolder:
        return SpaceFolder.of(self._root, space)

    def _state(self, space: str, layout: Layout | None = None) -> State:
        with self._lock:
            reader = self._readers.setdefault(space, SpaceReader(self._folder(space)))
        state = reader.state()
        if layout not in (None, state.layout):
            raise SpaceMissing(f'The space "{space}" has other columns and must be rebuilt.')
        return state
