"""Which tracks may have a tune: those with windows near its own, at places that fit together."""

import numpy as np

from audiosearch.engine.indexes.base import VectorIndex, WindowHits
from audiosearch.engine.indexes.filters import Filter
from audiosearch.engine.tunes.query import TuneQuery
from audiosearch.engine.tunes.windows import TEMPI, QueryWindows, query_windows

WINDOWS = 2_048
"""Windows that the vectors of a query ask for together."""
BIN_MS = 800
"""Windows agree on where in a track the query begins when they are as near to each other."""


def tune_candidates(
    query: TuneQuery, index: VectorIndex, space: str, where: Filter, top: int
) -> list[int]:
    """Ids of at most `top` tracks that satisfy the filter, the likeliest first."""
    asked = query_windows(query)
    if not len(asked):
        return []
    found = index.nearest_windows(space, asked.embeddings, WINDOWS // len(asked), where)
    return likeliest(asked, found)[:top]


def likeliest(asked: QueryWindows, found: WindowHits) -> list[int]:
    """All tracks found, the likeliest first.

    A hit counts by how much nearer it is than the last that its vector found. What counts for a
    track are those hits that agree in tempo and in where in it the query begins, divided by the
    windows that the query has at this tempo.
    """
    if not len(found):
        return []
    tempi, begins = asked.tempi[found.queries], asked.begins_ms[found.queries]
    windows = np.bincount(asked.tempi, minlength=len(TEMPI))
    last = np.full(len(asked), np.inf, np.float32)
    np.minimum.at(last, found.queries, found.similarities)
    gains = (found.similarities - last[found.queries]) / windows[tempi]
    places = np.floor((found.starts_ms - begins) / BIN_MS).astype(np.int64)
    items, tracks = np.unique(found.item_ids, return_inverse=True)
    places -= places.min() - 1
    width = int(places.max()) + 2
    keys = (tracks * len(TEMPI) + tempi) * width + places
    occupied, slots = np.unique(keys, return_inverse=True)
    sums = np.bincount(slots, gains)
    after = np.searchsorted(occupied, occupied + 1).clip(max=len(occupied) - 1)
    sums += np.where(occupied[after] == occupied + 1, sums[after], 0)
    best = np.zeros(len(items))
    np.maximum.at(best, occupied // (width * len(TEMPI)), sums)
    return [int(items[track]) for track in np.argsort(-best, kind="stable")]
