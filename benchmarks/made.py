"""Made catalogues: clustered unit vectors, as those of recordings are, in tracks of ten windows."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audiosearch.engine.analyzers.base import FloatArray
from audiosearch.engine.indexes.base import TrackFields, TrackWindows

WINDOWS = 10
SHARES = {"50 %": 0.5, "10 %": 0.1, "1 %": 0.01, "0.1 %": 0.001}
"""Parts of the tracks, each in a collection of its own, numbered from 1."""
INTRINSIC = 48
"""Dimensions in which tracks differ; the others hold a little noise."""


def unit(vectors: NDArray[np.floating]) -> FloatArray:
    """Scaled to length 1, float32."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / lengths, dtype=np.float32)


def real_windows(folder: Path, count: int) -> FloatArray:
    """(count, 128) embeddings of the audio in a folder by the spectral encoder, as unit vectors.

    Windows overlap by fifteen sixteenths, so that a small folder has enough.
    """
    from audiosearch.engine.analyzers.registry import load_encoder
    from audiosearch.engine.analyzers.windows import cut_windows
    from audiosearch.engine.audio.decoding import SUFFIXES
    from audiosearch.engine.audio.sandbox import decode

    encoder = load_encoder("spectral", folder, threads=1)
    spec = encoder.spec
    size = spec.window_ms * spec.sample_rate // 1000
    vectors: list[FloatArray] = []
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in SUFFIXES and len(vectors) < count:
            samples = decode(path, spec.sample_rate)
            for window in cut_windows([samples], size, size // 16):
                vectors.append(encoder.encode(window.samples[None]).embeddings[0])
    if len(vectors) < count:
        raise SystemExit(f"{folder} holds {len(vectors)} windows of audio; {count} are needed.")
    return unit(np.stack(vectors[:count]))


class Made:
    """`windows` vectors of `dimension`, the same for the same numbers; the last may be real ones.

    vectors: (windows, dimension); collections: (windows / 10,) of each track. One cluster for each
    hundred windows.
    """

    def __init__(self, windows: int, dimension: int, real: FloatArray | None = None) -> None:
        rng = np.random.default_rng(0)
        tracks = windows // WINDOWS
        inner = min(INTRINSIC, dimension)
        basis = np.linalg.qr(rng.normal(size=(dimension, inner)))[0].T.astype(np.float32)
        centres = rng.normal(size=(max(windows // 100, 1), inner))
        self.vectors = np.empty((tracks * WINDOWS, dimension), np.float32)
        for begin in range(0, tracks, 10_000):
            count = min(10_000, tracks - begin)
            track = centres[rng.integers(0, len(centres), count)]
            track = np.repeat(track + rng.normal(0, 0.35, track.shape), WINDOWS, axis=0)
            inside = track + rng.normal(0, 0.2, track.shape)
            noise = rng.normal(0, 0.02, (count * WINDOWS, dimension))
            at = slice(begin * WINDOWS, (begin + count) * WINDOWS)
            self.vectors[at] = unit(inside.astype(np.float32) @ basis + noise.astype(np.float32))
        self._real = 0
        if real is not None:
            self._real = min(len(real), len(self.vectors) // 2)
            self.vectors[-self._real :] = real[: self._real]
        edges = np.cumsum(list(SHARES.values()))
        self.collections = np.searchsorted(edges, rng.random(tracks), side="right") + 1

    def queries(self, count: int) -> FloatArray:
        """(count, dimension) near windows that are there, every other near a real one."""
        rng = np.random.default_rng(1)
        rows = rng.integers(0, len(self.vectors), count)
        if self._real:
            rows[::2] = len(self.vectors) - 1 - rng.integers(0, self._real, len(rows[::2]))
        near = self.vectors[rows]
        return unit(near + rng.normal(0, 0.3 / near.shape[1] ** 0.5, near.shape))

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
        tracks = np.arange(len(self.collections))
        vectors = self.vectors
        if collection is not None:
            tracks = np.flatnonzero(self.collections == collection)
            vectors = vectors.reshape(-1, WINDOWS, vectors.shape[1])[tracks].reshape(
                -1, vectors.shape[1]
            )
        answers = []
        for query in queries:
            best = (vectors @ query).reshape(-1, WINDOWS).max(axis=1)
            answers.append([int(tracks[at]) + 1 for at in np.argsort(-best)[:top_k]])
        return answers
