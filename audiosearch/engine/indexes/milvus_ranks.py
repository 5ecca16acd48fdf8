"""From the windows Milvus ranks to the items they belong to."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np

from audiosearch.engine.indexes.base import MAX_WINDOWS_PER_ITEM, Match, WindowHits

MAX_HITS = 16_384
"""The most rows asked for in one request, all query vectors together; Milvus's own bound too."""
FIRST_HITS = 1_024
"""Asked of a graph at first, all query vectors together: 1 ms more than asking for forty."""
ROUNDS = 3
GROWTH = 4
WINDOWS_PER_ITEM = 4
LITE_WINDOWS_PER_ITEM = 16
"""More at once where asking again costs 10 ms and a window 0.02 ms."""


def graph_limits(top_k: int, queries: int, breadth: int) -> Iterator[int]:
    """How many windows to ask a graph for, round after round, until they are of enough items.

    A single query vector asks for `breadth` at once.
    """
    most = max(MAX_HITS // queries, 1)
    limit = max(min(FIRST_HITS // queries, breadth), top_k * WINDOWS_PER_ITEM)
    for _ in range(ROUNDS):
        yield min(limit, most)
        if limit >= most:
            return
        limit *= GROWTH


def exact_limits(top_k: int, queries: int, *, lite: bool) -> Iterator[int]:
    """The same where every window is compared; without end."""
    most = max(MAX_HITS // queries, 1)
    limit = max(top_k * (LITE_WINDOWS_PER_ITEM if lite else WINDOWS_PER_ITEM), 16)
    while True:
        yield min(limit, most)
        limit *= GROWTH


def settled(
    lists: Sequence[Any], limit: int, top_k: int, unwanted: Collection[int] = ()
) -> tuple[list[Match], bool]:
    """The nearest items that no window unseen can beat, at most `top_k`; and if none is unseen.

    lists: for each query vector what pymilvus found, nearest first, `limit` of them or all there
    are. Hits are read as columns, and their fields only where they win: a Python object for each
    of a thousand hits would take longer than Milvus.
    """
    similarity = [np.asarray(hits.distances, dtype=np.float64) for hits in lists]
    cut = [column[-1] for column in similarity if len(column) >= limit]
    frontier = max(cut, default=-np.inf)
    scores = np.concatenate(similarity)
    ids = np.concatenate([np.asarray(hits.ids, dtype=np.int64) for hits in lists])
    items = ids // MAX_WINDOWS_PER_ITEM
    order = np.lexsort((items, -scores))
    _, firsts = np.unique(items[order], return_index=True)
    best = order[np.sort(firsts)]
    best = best[(scores[best] >= frontier) & ~np.isin(items[best], list(unwanted))][:top_k]
    starts = np.cumsum([0, *map(len, similarity)])
    queries = np.searchsorted(starts, best, side="right") - 1
    matches = [
        _match(lists[query][at - starts[query]], int(item), int(query))
        for at, item, query in zip(best, items[best], queries, strict=True)
    ]
    return matches, not cut


def crowded(lists: Sequence[Any], breadth: int) -> bool:
    """Whether one item has more than `breadth` of the windows nearest to one query vector.

    A group of alike windows, larger than the breadth a graph was searched with, may have no edge
    out of it, and a wider search then finds its way to some groups and not to nearer ones.
    """
    return any(
        len(hits) > breadth
        and np.unique(np.asarray(hits.ids) // MAX_WINDOWS_PER_ITEM, return_counts=True)[1].max()
        > breadth
        for hits in lists
    )


def batches(queries: int, limit: int) -> Iterator[slice]:
    """Query vectors that may be asked in one request, `limit` windows each."""
    size = max(MAX_HITS // limit, 1)
    return (slice(begin, begin + size) for begin in range(0, queries, size))


def window_hits(lists: Sequence[Any]) -> WindowHits:
    """What pymilvus found for each query vector, as columns."""
    ids = np.concatenate([np.asarray(hits.ids, np.int64) for hits in lists])
    starts = [hit["entity"]["start_ms"] for hits in lists for hit in hits]
    return WindowHits(
        queries=np.repeat(np.arange(len(lists)), [len(hits.ids) for hits in lists]),
        item_ids=ids // MAX_WINDOWS_PER_ITEM,
        starts_ms=np.array(starts, np.int64),
        similarities=np.concatenate([np.asarray(hits.distances, np.float32) for hits in lists]),
    )


def _match(hit: Any, item_id: int, query_window: int) -> Match:
    distance = min(max(1.0 - float(hit["distance"]), 0.0), 2.0)
    fields = hit["entity"]
    return Match(item_id, distance, fields["start_ms"], fields["end_ms"], query_window)


def rank(match: Match) -> tuple[float, int]:
    """Nearest first; of equally near ones the older item."""
    return match.distance, match.item_id
