"""Windows of recordings and of queries as vectors, by which candidates are found."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audiosearch.engine.analyzers.base import Embeddings
from audiosearch.engine.arrays import FloatArray
from audiosearch.engine.tunes.projection import DIMENSION, SLOTS, projected, projection
from audiosearch.engine.tunes.query import TuneQuery
from audiosearch.engine.tunes.representation import FRAME_MS, Tune
from audiosearch.engine.tunes.salience import KEYS, LOWEST_KEY

WINDOW_MS = 5_000
HOP_MS = 2_000
WINDOW_FRAMES, HOP_FRAMES = WINDOW_MS // FRAME_MS, HOP_MS // FRAME_MS
LOWEST_MIDDLE, TRIED_KEYS = 57, 28
"""The middle of a query is brought to these keys."""
TEMPI = (0.7, 0.79, 0.89, 1.0, 1.12, 1.26, 1.41)
STARTS = 3


@dataclass(frozen=True)
class QueryWindows:
    """A query's windows at all keys and tempi that are tried.

    embeddings: (n, DIMENSION) float32 of unit length. For each of them, (n,): windows: which
    window of the query it is, from 0; keys: semitones that the query was lifted by; tempi: how
    fast the query was taken to be, 1.0 as fast as the recording; starts_ms: when it begins in
    the query, in its voiced time.
    """

    embeddings: FloatArray
    windows: NDArray[np.int64]
    keys: NDArray[np.int64]
    tempi: FloatArray
    starts_ms: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.windows)


def tune_windows(tune: Tune) -> Embeddings:
    """The windows of a recording, WINDOW_MS long and HOP_MS apart; none of what has no pitch.

    A recording that is shorter than a window has one. A window depends on nothing around it.
    """
    padding = max(0, WINDOW_FRAMES - len(tune)) if len(tune) else 0
    salience = np.pad(tune.unfolded, ((0, padding), (0, 0)))
    if len(salience) < WINDOW_FRAMES:
        return Embeddings(np.zeros((0, DIMENSION), np.float32), np.zeros((0, 2), np.int64))
    frames = np.lib.stride_tricks.sliding_window_view(salience, WINDOW_FRAMES, axis=0)
    patches = _patches(frames[::HOP_FRAMES].transpose(0, 2, 1).astype(np.float32))
    vectors = projected(patches, projection().recordings)
    starts = np.arange(len(vectors), dtype=np.int64) * HOP_MS
    spans = np.stack([starts, np.minimum(starts + WINDOW_MS, len(tune) * FRAME_MS)], axis=1)
    heard = vectors.any(axis=1)
    return Embeddings(vectors[heard], spans[heard])


def query_windows(query: TuneQuery) -> QueryWindows:
    """The windows of a query, for `candidates`."""
    keys = query.keys - query.tuning
    lowest = LOWEST_MIDDLE - round(float(np.median(keys))) if len(keys) else 0
    lifts = lowest + np.arange(TRIED_KEYS)
    embeddings, rows = [], []
    for tempo in TEMPI:
        frames = min(round(WINDOW_FRAMES * tempo), len(keys))
        if not frames:
            continue
        starts = np.unique(np.linspace(0, len(keys) - frames, STARTS).round().astype(np.int64))
        for window, start in enumerate(starts):
            lines = keys[start : start + frames] - LOWEST_KEY + lifts[:, None]
            embeddings.append(projected(_patches(_sounding(lines)), projection().queries))
            rows += [(window, lift, tempo, start * FRAME_MS) for lift in lifts]
    windows, lifted, tempi, starts_ms = np.array(rows).T if rows else np.zeros((4, 0))
    return QueryWindows(
        np.concatenate([np.zeros((0, DIMENSION), np.float32), *embeddings]),
        windows.astype(np.int64),
        lifted.astype(np.int64),
        tempi.astype(np.float32),
        starts_ms.astype(np.int64),
    )


def _sounding(lines: FloatArray) -> FloatArray:
    """(n, frames, KEYS) in 0..1, the salience of lines of one pitch; lines: (n, frames)."""
    apart = np.abs(lines[..., None] - np.arange(KEYS))
    return np.maximum(0, 1 - apart / 1.5).astype(np.float32)


def _patches(frames: FloatArray) -> FloatArray:
    """(n, SLOTS, KEYS) means over equal parts; frames: (n, frames, KEYS)."""
    count = frames.shape[1]
    edges = np.linspace(0, count, SLOTS + 1)
    below = np.minimum(edges.astype(np.int64), count - 1)
    sums = np.concatenate([np.zeros_like(frames[:, :1]), frames.cumsum(axis=1)], axis=1)
    at = sums[:, below] + frames[:, below] * (edges - below)[:, None].astype(np.float32)
    return np.asarray(np.diff(at, axis=1) * (SLOTS / count), np.float32)
