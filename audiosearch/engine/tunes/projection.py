"""The trained projection: what of a window tells tunes apart, however it was heard.

Two matrices, one for windows of recordings and one for those of queries, bring both to vectors of
unit length that are near each other when they are of the same tune; see `training`.
"""

from functools import cache
from typing import NamedTuple

import numpy as np

from audiosearch.engine.arrays import FloatArray
from audiosearch.engine.tunes.salience import KEYS

SLOTS = 14
"""A window's equal parts; its patch is how strongly each key sounds in each of them."""
DIMENSION = 64


class Projection(NamedTuple):
    """(SLOTS * KEYS, DIMENSION) float32 each."""

    recordings: FloatArray
    queries: FloatArray


@cache
def projection() -> Projection:
    """The projection in use."""
    rng = np.random.default_rng(0)
    matrix = rng.standard_normal((SLOTS * KEYS, DIMENSION)).astype(np.float32)
    return Projection(matrix, matrix)


def projected(patches: FloatArray, matrix: FloatArray) -> FloatArray:
    """(n, DIMENSION) of unit length, or all 0 where nothing sounds.

    patches: (n, SLOTS, KEYS).
    """
    flat = patches.reshape(len(patches), SLOTS * KEYS)
    flat = flat - flat.mean(axis=1, keepdims=True)
    vectors = flat @ matrix
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1), np.float32)
