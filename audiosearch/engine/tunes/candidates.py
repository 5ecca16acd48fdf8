"""Which tracks may have a tune: those whose windows are nearest to those of the query."""

from audiosearch.engine.indexes.base import VectorIndex
from audiosearch.engine.indexes.filters import Filter
from audiosearch.engine.tunes.query import TuneQuery
from audiosearch.engine.tunes.windows import query_windows

HITS = 50
"""Windows asked for by each vector."""


def tune_candidates(
    query: TuneQuery, index: VectorIndex, space: str, where: Filter, top: int
) -> list[int]:
    """Ids of at most `top` tracks that satisfy the filter, the likeliest first."""
    asked = query_windows(query)
    hits = index.nearest_windows(space, asked.embeddings, HITS, where)
    best: dict[int, float] = {}
    for item_id, similarity in zip(hits.item_ids, hits.similarities, strict=True):
        best[int(item_id)] = max(best.get(int(item_id), -1.0), float(similarity))
    return sorted(best, key=lambda item: -best[item])[:top]
