"""The exact twin of the Milvus index: every distance computed, in memory, with NumPy.

Ground truth for recall, and the index of unit tests.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from sys import getsizeof
from threading import RLock

import numpy as np

from audiosearch.engine.arrays import FloatArray
from audiosearch.engine.errors import SpaceMissing
from audiosearch.engine.indexes.base import Entry, Match, WindowHits, window_id
from audiosearch.engine.indexes.filters import Filter
from audiosearch.engine.indexes.payloads import Layout, Payload


@dataclass(frozen=True)
class _Window:
    payload: Payload
    span: tuple[int, int]
    embedding: FloatArray


@dataclass
class _Space:
    dimension: int
    layout: Layout
    windows: dict[int, _Window] = field(default_factory=dict)

    def put(self, entry: Entry) -> None:
        if entry.embeddings.shape != (len(entry.spans), self.dimension):
            raise ValueError(f"Embeddings of shape {entry.embeddings.shape} do not fit the space.")
        for number, (embedding, span) in enumerate(zip(entry.embeddings, entry.spans, strict=True)):
            key = window_id(entry.payload.item_id, number)
            self.windows[key] = _Window(entry.payload, (span[0], span[1]), embedding.copy())

    def allowed(self, where: Filter) -> list[_Window]:
        conditions = where.conditions
        return [
            window
            for window in self.windows.values()
            if all(condition.holds(window.payload) for condition in conditions)
        ]


class ExactIndex:
    """VectorIndex in the memory of one process; safe to call from several threads."""

    def __init__(self) -> None:
        self._spaces: dict[str, _Space] = {}
        self._lock = RLock()

    def create_space(self, space: str, dimension: int, layout: Layout) -> None:
        with self._lock:
            self._spaces.setdefault(space, _Space(dimension, layout))

    def drop_space(self, space: str) -> None:
        with self._lock:
            self._spaces.pop(space, None)

    def spaces(self) -> list[str]:
        with self._lock:
            return sorted(self._spaces)

    def upsert(self, space: str, entries: Sequence[Entry]) -> None:
        with self._lock:
            self._get(space)
            for entry in entries:
                self._get(space, entry.payload.layout).put(entry)

    def delete_items(self, space: str, item_ids: Sequence[int]) -> None:
        gone = set(item_ids)
        with self._lock:
            held = self._get(space)
            held.windows = {
                key: window
                for key, window in held.windows.items()
                if window.payload.item_id not in gone
            }

    def search(self, space: str, queries: FloatArray, top_k: int, where: Filter) -> list[Match]:
        with self._lock:
            allowed = self._get(space, where.layout).allowed(where)
        if not allowed or not len(queries) or top_k < 1:
            return []
        embeddings = np.stack([window.embedding for window in allowed])
        cosine = _unit(queries) @ _unit(embeddings).T
        nearest_query = cosine.argmax(axis=0)
        distances = np.clip(1.0 - cosine.max(axis=0), 0.0, 2.0)
        best: dict[int, Match] = {}
        for number in np.argsort(distances, kind="stable"):
            window = allowed[number]
            best.setdefault(
                window.payload.item_id,
                Match(
                    item_id=window.payload.item_id,
                    distance=float(distances[number]),
                    start_ms=window.span[0],
                    end_ms=window.span[1],
                    query_window=int(nearest_query[number]),
                ),
            )
        return sorted(best.values(), key=lambda match: (match.distance, match.item_id))[:top_k]

    def nearest_windows(
        self, space: str, queries: FloatArray, limit: int, where: Filter
    ) -> WindowHits:
        with self._lock:
            allowed = self._get(space, where.layout).allowed(where)
        if not allowed or not len(queries) or limit < 1:
            return WindowHits.none()
        embeddings = np.stack([window.embedding for window in allowed])
        cosine = _unit(queries) @ _unit(embeddings).T
        order = np.argsort(-cosine, axis=1, kind="stable")[:, :limit]
        items = np.array([window.payload.item_id for window in allowed], np.int64)
        starts = np.array([window.span[0] for window in allowed], np.int64)
        return WindowHits(
            queries=np.repeat(np.arange(len(queries)), order.shape[1]),
            item_ids=items[order.ravel()],
            starts_ms=starts[order.ravel()],
            similarities=np.take_along_axis(cosine, order, axis=1).ravel(),
        )

    def item_ids(self, space: str, where: Filter, most: int) -> list[int]:
        with self._lock:
            allowed = self._get(space, where.layout).allowed(where)
        return list(dict.fromkeys(window.payload.item_id for window in allowed))[:most]

    def count_items(self, space: str, where: Filter) -> int:
        with self._lock:
            allowed = self._get(space, where.layout).allowed(where)
        return len({window.payload.item_id for window in allowed})

    def window_counts(self, space: str) -> dict[int, int]:
        with self._lock:
            windows = self._get(space).windows.values()
            return dict(Counter(window.payload.item_id for window in windows))

    def rebuild(self, space: str, dimension: int, layout: Layout, entries: Iterable[Entry]) -> None:
        fresh = _Space(dimension, layout)
        for entry in entries:
            fresh.put(entry)
        with self._lock:
            self._spaces[space] = fresh

    def outgrown(self, space: str) -> bool:
        return False

    def outdated(self, space: str, layout: Layout) -> bool:
        with self._lock:
            return space in self._spaces and self._spaces[space].layout != layout

    def size_bytes(self, space: str) -> int:
        with self._lock:
            windows = self._get(space).windows.values()
            return sum(window.embedding.nbytes + getsizeof(window.payload) for window in windows)

    def ping(self) -> None:
        """Always answers."""

    def _get(self, space: str, layout: Layout | None = None) -> _Space:
        held = self._spaces.get(space)
        if held is None:
            raise SpaceMissing(f'The vector index has no space "{space}".')
        if layout not in (None, held.layout):
            raise SpaceMissing(f'The space "{space}" has other columns and must be rebuilt.')
        return held


def _unit(vectors: FloatArray) -> FloatArray:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), dtype=np.float32)
