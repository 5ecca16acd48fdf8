"""Windows of recordings and of queries as vectors, by which candidates are found."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from audiosearch.engine.analyzers.base import Embeddings
from audiosearch.engine.arrays import FloatArray
from audiosearch.engine.tunes.patches import intervals, query_patches, recording_features
from audiosearch.engine.tunes.projection import DIMENSION, projected, projection
from audiosearch.engine.tunes.query import TuneQuery
from audiosearch.engine.tunes.representation import FRAME_MS, Tune

WINDOW_MS, HOP_MS = 5_000, 2_000
WINDOW_FRAMES, HOP_FRAMES = WINDOW_MS // FRAME_MS, HOP_MS // FRAME_MS
TEMPI = (0.8, 0.9, 1.0, 1.12, 1.26)
STEP_MS = 800
"""Of a query's windows: finer than HOP_MS, so that some of them begin where windows of the
recording do."""


@dataclass(frozen=True)
class QueryWindows:
    """A query's windows, at all tempi that are tried; their vectors are the same in any key.

    embeddings: (n, DIMENSION) float32 of unit length. For each of them, (n,): tempi: index in
    TEMPI, how fast the query was taken to be; begins_ms: when it begins in the query, in the
    recording's time and without rests, float64.
    """

    embeddings: FloatArray
    tempi: NDArray[np.int64]
    begins_ms: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.tempi)


def tune_windows(tune: Tune) -> Embeddings:
    """The windows of a recording, WINDOW_MS long and HOP_MS apart; none of what has no pitch.

    A recording that is shorter than a window has one. A window depends on nothing around it.
    """
    if not len(tune):
        return Embeddings(np.zeros((0, DIMENSION), np.float32), np.zeros((0, 2), np.int64))
    whole = _at_least_a_window(tune)
    begins = np.arange(0, len(whole) - WINDOW_FRAMES + 1, HOP_FRAMES)
    features = recording_features(whole, begins, WINDOW_FRAMES)
    vectors = projected(features, projection().recordings)
    starts = begins.astype(np.int64) * FRAME_MS
    spans = np.stack([starts, np.minimum(starts + WINDOW_MS, len(tune) * FRAME_MS)], axis=1)
    heard = vectors.any(axis=1)
    return Embeddings(vectors[heard], spans[heard])


def query_windows(query: TuneQuery) -> QueryWindows:
    """The windows of a query, STEP_MS apart at each of TEMPI; for `candidates`.

    One that is shorter than a window has a single one of it all.
    """
    embeddings, tempi, begins = [np.zeros((0, DIMENSION), np.float32)], [], []
    for number, tempo in enumerate(TEMPI):
        frames = min(round(WINDOW_FRAMES / tempo), len(query.keys))
        if not frames:
            continue
        step = max(1, round(STEP_MS / tempo / FRAME_MS))
        lines = np.lib.stride_tricks.sliding_window_view(query.keys, frames)[::step]
        embeddings.append(projected(intervals(query_patches(lines)), projection().queries))
        tempi += [number] * len(lines)
        begins += (np.arange(len(lines)) * step * FRAME_MS * tempo).tolist()
    vectors = np.concatenate(embeddings)
    heard = vectors.any(axis=1)
    return QueryWindows(
        vectors[heard],
        np.array(tempi, np.int64)[heard],
        np.array(begins, np.float64)[heard],
    )


def _at_least_a_window(tune: Tune) -> Tune:
    """The tune, followed by as much silence as a window needs."""
    missing = max(0, WINDOW_FRAMES - len(tune))
    if not missing:
        return tune
    unfolded = np.pad(tune.unfolded, ((0, missing), (0, 0)))
    return replace(tune, unfolded=unfolded, contour=np.pad(tune.contour, (0, missing)))
