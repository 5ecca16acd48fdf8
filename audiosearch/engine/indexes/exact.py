"""The exact twin of the Milvus index: every distance computed, in memory, with NumPy.

Ground truth for recall, and the index of unit tests.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from threading import RLock

import numpy as np

from audiosearch.engine.analyzers.base import FloatArray
from audiosearch.engine.errors import SpaceMissing
from audiosearch.engine.indexes.base import Filter, Match, TrackFields, TrackWindows, window_id
from audiosearch.engine.indexes.filters import matches


@dataclass(frozen=True)
class _Window:
    fields: TrackFields
    span: tuple[int, int]
    embedding: FloatArray


@dataclass
class _Space:
    dimension: int
    windows: dict[int, _Window] = field(default_factory=dict)

    def put(self, track: TrackWindows) -> None:
        if track.embeddings.shape != (len(track.spans), self.dimension):
            raise ValueError(f"Embeddings of shape {track.embeddings.shape} do not fit the space.")
        for number, (embedding, span) in enumerate(zip(track.embeddings, track.spans, strict=True)):
            key = window_id(track.fields.track_id, number)
            self.windows[key] = _Window(track.fields, (span[0], span[1]), embedding.copy())


class ExactIndex:
    """VectorIndex in the memory of one process; safe to call from several threads."""

    def __init__(self) -> None:
        self._spaces: dict[str, _Space] = {}
        self._lock = RLock()

    def create_space(self, space: str, dimension: int) -> None:
        with self._lock:
            self._spaces.setdefault(space, _Space(dimension))

    def drop_space(self, space: str) -> None:
        with self._lock:
            self._spaces.pop(space, None)

    def spaces(self) -> list[str]:
        with self._lock:
            return sorted(self._spaces)

    def upsert(self, space: str, tracks: Sequence[TrackWindows]) -> None:
        with self._lock:
            held = self._get(space)
            for track in tracks:
                held.put(track)

    def delete_tracks(self, space: str, track_ids: Sequence[int]) -> None:
        gone = set(track_ids)
        with self._lock:
            held = self._get(space)
            held.windows = {
                key: window
                for key, window in held.windows.items()
                if window.fields.track_id not in gone
            }

    def search(self, space: str, queries: FloatArray, top_k: int, where: Filter) -> list[Match]:
        with self._lock:
            allowed = [w for w in self._get(space).windows.values() if matches(w.fields, where)]
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
                window.fields.track_id,
                Match(
                    track_id=window.fields.track_id,
                    distance=float(distances[number]),
                    start_ms=window.span[0],
                    end_ms=window.span[1],
                    query_window=int(nearest_query[number]),
                ),
            )
        return sorted(best.values(), key=lambda match: (match.distance, match.track_id))[:top_k]

    def count_tracks(self, space: str, where: Filter) -> int:
        with self._lock:
            windows = self._get(space).windows.values()
            return len({w.fields.track_id for w in windows if matches(w.fields, where)})

    def window_counts(self, space: str) -> dict[int, int]:
        counts: dict[int, int] = {}
        with self._lock:
            for window in self._get(space).windows.values():
                counts[window.fields.track_id] = counts.get(window.fields.track_id, 0) + 1
        return counts

    def rebuild(self, space: str, dimension: int, tracks: Iterable[TrackWindows]) -> None:
        fresh = _Space(dimension)
        for track in tracks:
            fresh.put(track)
        with self._lock:
            self._spaces[space] = fresh

    def outgrown(self, space: str) -> bool:
        return False

    def ping(self) -> None:
        """Always answers."""

    def _get(self, space: str) -> _Space:
        if space not in self._spaces:
            raise SpaceMissing(f'The vector index has no space "{space}".')
        return self._spaces[space]


def _unit(vectors: FloatArray) -> FloatArray:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), dtype=np.float32)
