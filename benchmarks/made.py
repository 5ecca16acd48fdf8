"""Made catalogues: clustered unit vectors, as those of recordings are, in tracks of ten windows."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from audiosearch.engine.encoders.base import FloatArray
from audiosearch.engine.index import TrackFields, TrackWindows

WINDOWS = 10
SHARES = {"50 %": 0.5, "10 %": 0.1, "1 %": 0.01, "0.1 %": 0.001}
"""Parts of the tracks, each in a collection of its own, numbered from 1."""
INTRINSIC = 48
"""Dimensions in which tracks differ; the others hold a little noise."""


def unit(vectors: NDArray[np.floating]) -> FloatArray:
    """Scaled to length 1, float32."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / lengths, dtype=np.float32)


class Made:
    """`windows` vectors of `dimension`, the same for the same numbers.

    vectors: (windows, dimension); collections: (windows / 10,) of each track. One cluster for each
    hundred windows.
    """

    def __init__(self, windows: int, dimension: int, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        tracks = windows // WINDOWS
        inner = min(INTRINSIC, dimension)
        basis = np.linalg.qr(rng.normal(size=(dimension, inner)))[0].T.astype(np.float32)
        centres = rng.normal(size=(max(windows // 100, 1), inner))
        self.vectors = np.empty((tracks * WINDOWS, dimension), np.float32)
        for begin in range(0, tracks, 10_000):
            count = min(10_000, tracks - begin)
            track = centres[rng.integers(0, len(centres), count)]
            track = track + rng.normal(0, 0.35, track.shape)
            inside = np.repeat(track, WINDOWS, axis=0) + rng.normal(
                0, 0.2, (count * WINDOWS, inner)
            )
            noise = rng.normal(0, 0.02, (count * WINDOWS, dimension))
            at = slice(begin * WINDOWS, (begin + count) * WINDOWS)
            self.vectors[at] = unit(inside.astype(np.float32) @ basis + noise.astype(np.float32))
        edges = np.cumsum(list(SHARES.values()))
        self.collections = np.searchsorted(edges, rng.random(tracks), side="right") + 1

    def queries(self, count: int, seed: int = 1) -> FloatArray:
        """(count, dimension) near windows that are there."""
        rng = np.random.default_rng(seed)
        dimension = self.vectors.shape[1]
        near = self.vectors[rng.integers(0, len(self.vectors), count)]
        return unit(near + rng.normal(0, 0.3 / dimension**0.5, near.shape))

    def tracks(self) -> Iterator[TrackWindows]:
        """As the index takes them; track ids from 1."""
        spans = [(5000 * n, 5000 * n + 10_000) for n in range(WINDOWS)]
        for number, collection in enumerate(self.collections):
            fields = TrackFields(
                track_id=number + 1,
                collection_id=int(collection),
                duration_ms=spans[-1][1],
                added_at=number,
            )
            at = slice(number * WINDOWS, (number + 1) * WINDOWS)
            yield TrackWindows(fields, self.vectors[at], spans)

    def nearest(self, queries: FloatArray, top_k: int, collection: int | None) -> list[list[int]]:
        """Exact: ids of the `top_k` nearest tracks of a collection for each query."""
        owner = np.repeat(np.arange(len(self.collections)), WINDOWS)
        rows = np.arange(len(self.vectors))
        if collection is not None:
            rows = np.flatnonzero(self.collections[owner] == collection)
        answers = []
        for query in queries:
            scores = self.vectors[rows] @ query if collection else self.vectors @ query
            best = rows[np.argsort(-scores)[: top_k * WINDOWS]]
            answers.append([int(track) + 1 for track in dict.fromkeys(owner[best])][:top_k])
        return answers
