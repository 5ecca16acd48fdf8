"""The trained projection: what of a window tells tunes apart, however they are heard.

Two matrices, one for windows of recordings and one for those of queries, bring both to vectors of
unit length that are near each other when they are of the same tune. `manage.py
train_tune_projection` makes them; see `training` and docs/tunes.md.
"""

from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from audiosearch.engine.arrays import FloatArray

DIMENSION = 64
RECIPE = 1
"""Raised with every change to patches, training or what it trains on: vectors of two recipes are
never compared."""
PATH = Path(__file__).with_name("projection.npz")


class Projection(NamedTuple):
    """recordings: (2 * FEATURES, DIMENSION) and queries: (FEATURES, DIMENSION) float32."""

    recordings: FloatArray
    queries: FloatArray


@cache
def projection() -> Projection:
    """The projection in use. Raises ValueError when its file is of another recipe."""
    with np.load(PATH) as kept:
        if int(kept["recipe"]) != RECIPE:
            raise ValueError(f"{PATH.name} is of another recipe: run train_tune_projection.")
        return Projection(*(kept[name].astype(np.float32) for name in Projection._fields))


def save_projection(made: Projection, path: Path = PATH) -> None:
    """Keep a projection, in half precision: 336 kB."""
    matrices = {name: getattr(made, name).astype(np.float16) for name in Projection._fields}
    np.savez(path, recipe=np.int64(RECIPE), **matrices)


def projected(features: FloatArray, matrix: FloatArray) -> FloatArray:
    """(n, DIMENSION) of unit length, or all 0 where no two slots have a pitch.

    features: (n, m), of recordings or of queries as `patches` gives them; matrix: (m, DIMENSION).
    """
    vectors = features @ matrix
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1), np.float32)
