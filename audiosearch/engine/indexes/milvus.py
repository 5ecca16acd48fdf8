"""The vector index on Milvus: the same code against Milvus Lite and the Milvus server."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from audiosearch.engine.arrays import FloatArray
from audiosearch.engine.errors import SpaceMissing
from audiosearch.engine.indexes.base import MAX_WINDOWS_PER_ITEM, Entry, Match, WindowHits
from audiosearch.engine.indexes.filters import Filter
from audiosearch.engine.indexes.milvus_building import MilvusBuilder
from audiosearch.engine.indexes.milvus_connection import MilvusConnection
from audiosearch.engine.indexes.milvus_expressions import (
    all_of,
    exact_parts,
    first_windows,
    items_expression,
    to_expression,
)
from audiosearch.engine.indexes.milvus_ranks import (
    batches,
    crowded,
    exact_limits,
    graph_limits,
    rank,
    settled,
    window_hits,
)
from audiosearch.engine.indexes.milvus_schema import (
    EXACT_BYTES,
    GRAPH_SEARCH_BREADTH,
    columns_of,
    row_bytes,
    search_params,
)
from audiosearch.engine.indexes.milvus_spaces import MilvusSpaces
from audiosearch.engine.indexes.payloads import Layout

PAGE = 16_384
"""The most rows Milvus gives in one page of a query."""
IDS_PER_DELETE = 1_000


class MilvusIndex:
    """VectorIndex on the Milvus at `uri` (`http://host:port`); connects at the first call.

    Searches ask for bounded staleness, which costs nothing, yet waits while a server just started
    is still reading its log back.
    """

    def __init__(
        self,
        uri: str,
        *,
        token: str = "",
        prefix: str = "audiosearch",
        timeout_s: float = 10.0,
        exact_bytes: int = EXACT_BYTES,
    ) -> None:
        self._timeout_s = timeout_s
        self._connection = MilvusConnection(uri, token=token, timeout_s=timeout_s)
        self._spaces = MilvusSpaces(self._connection, prefix=prefix, timeout_s=timeout_s)
        self._builder = MilvusBuilder(self._spaces, exact_bytes=exact_bytes)

    def ping(self) -> None:
        self._connection.call(
            lambda client: client.get_server_version(timeout=self._spaces.search_s)
        )

    def spaces(self) -> list[str]:
        return self._spaces.names()

    def create_space(self, space: str, dimension: int, layout: Layout) -> None:
        self._builder.create(space, dimension, layout)

    def drop_space(self, space: str) -> None:
        self._builder.drop(space)

    def rebuild(self, space: str, dimension: int, layout: Layout, entries: Iterable[Entry]) -> None:
        self._builder.rebuild(space, dimension, layout, entries)

    def upsert(self, space: str, entries: Sequence[Entry]) -> None:
        for layout in {entry.payload.layout for entry in entries}:
            self._spaces.require_layout(space, layout)
        self._builder.upsert(space, entries)

    def delete_items(self, space: str, item_ids: Sequence[int]) -> None:
        column = list(self._spaces.columns(space))[1]
        starts = range(0, len(item_ids), IDS_PER_DELETE)
        self._builder.delete(
            space,
            [items_expression(column, item_ids[at : at + IDS_PER_DELETE]) for at in starts],
        )

    def search(self, space: str, queries: FloatArray, top_k: int, where: Filter) -> list[Match]:
        """See VectorIndex.search.

        Milvus ranks windows, and one long item can fill any number of ranks. So ask for more
        windows than items; an item is settled when no window unseen can be nearer than its best
        one. Until `top_k` are settled, ask for more. Milvus's own grouping gives fewer items than
        asked for when one of them crowds the ranks.

        Items to leave out stay in at first: a graph finds little when all that lies near the
        query is filtered out, or when alike windows have no edge that leads away from them.
        """
        self._spaces.require_layout(space, where.layout)
        if top_k < 1 or not len(queries):
            self._spaces.require(space)
            return []
        alias = self._spaces.alias(space)
        if self._connection.lite:
            return self._search_exactly(space, alias, queries, top_k, where)
        asked = replace(where, exclude_item_ids=())
        for limit in graph_limits(top_k, len(queries), GRAPH_SEARCH_BREADTH):
            lists = self._nearest(space, alias, queries, limit, to_expression(asked))
            if crowded(lists, GRAPH_SEARCH_BREADTH):
                break
            found, complete = settled(lists, limit, top_k, where.exclude_item_ids)
            if len(found) >= top_k or (complete and self._holds_no_more(space, asked, lists)):
                return found
            if complete:
                break
        collection = self._spaces.current(space) or alias
        parts = exact_parts(where.layout.item) if self._spaces.has_graph(collection) else [""]
        matches = [
            match
            for part in parts
            for match in self._search_exactly(space, collection, queries, top_k, where, part)
        ]
        return sorted(matches, key=rank)[:top_k]

    def _search_exactly(
        self,
        space: str,
        collection: str,
        queries: FloatArray,
        top_k: int,
        where: Filter,
        part: str = "",
    ) -> list[Match]:
        """The nearest items among the rows of `part`, every one of them compared."""
        matches: dict[int, Match] = {}
        for limit in exact_limits(top_k, len(queries), lite=self._connection.lite):
            known = replace(where, exclude_item_ids=(*where.exclude_item_ids, *matches))
            expression = all_of(to_expression(known), part)
            lists = self._nearest(space, collection, queries, limit, expression)
            found, complete = settled(lists, limit, top_k)
            matches.update((match.item_id, match) for match in found)
            if len(matches) >= top_k or complete:
                break
            if collection == self._spaces.alias(space):
                collection = self._spaces.current(space) or collection
                matches.clear()  # further rounds must not see another revision
        return sorted(matches.values(), key=rank)[:top_k]

    def _holds_no_more(self, space: str, where: Filter, lists: Any) -> bool:
        """Whether the shortest answer already has every window that `where` allows."""
        return min(map(len, lists)) >= self._spaces.count_rows(space, to_expression(where))

    def _nearest(
        self, space: str, collection: str, queries: FloatArray, limit: int, expression: str
    ) -> Any:
        """For each query vector its `limit` nearest windows, as pymilvus gives them."""
        return self._spaces.on(
            space,
            lambda client: client.search(
                collection,
                data=list(np.asarray(queries, dtype=np.float32)),
                filter=expression,
                limit=limit,
                output_fields=["start_ms", "end_ms"],
                search_params=search_params(limit),
                consistency_level="Bounded",
                timeout=self._spaces.search_s,
            ),
        )

    def nearest_windows(
        self, space: str, queries: FloatArray, limit: int, where: Filter
    ) -> WindowHits:
        self._spaces.require_layout(space, where.layout)
        if limit < 1 or not len(queries):
            self._spaces.require(space)
            return WindowHits.none()
        alias, expression = self._spaces.alias(space), to_expression(where)
        return window_hits(
            [
                hits
                for part in batches(len(queries), limit)
                for hits in self._nearest(space, alias, queries[part], limit, expression)
            ]
        )

    def item_ids(self, space: str, where: Filter, most: int) -> list[int]:
        self._spaces.require_layout(space, where.layout)
        if most < 1:
            return []
        alias = self._spaces.alias(space)
        first = first_windows(where.layout.item, lite=self._connection.lite)
        expression = all_of(first, to_expression(where))

        rows = self._spaces.on(
            space,
            lambda client: client.query(  # an iterator would have Lite read all rows twice
                alias,
                filter=expression,
                limit=most,
                output_fields=["id"],
                consistency_level="Bounded",
                timeout=self._spaces.search_s,
            ),
        )
        return [row["id"] // MAX_WINDOWS_PER_ITEM for row in rows]

    def count_items(self, space: str, where: Filter) -> int:
        self._spaces.require_layout(space, where.layout)
        first = first_windows(where.layout.item, lite=self._connection.lite)
        return self._spaces.count_rows(space, all_of(first, to_expression(where)))

    def window_counts(self, space: str) -> dict[int, int]:
        alias = self._spaces.alias(space)

        def read(client: Any) -> dict[int, int]:
            counts: Counter[int] = Counter()
            pages = client.query_iterator(
                alias,
                filter="",
                batch_size=PAGE,
                output_fields=["id"],
                consistency_level="Strong",
                timeout=self._timeout_s,
            )
            while page := pages.next():
                counts.update(row["id"] // MAX_WINDOWS_PER_ITEM for row in page)
            pages.close()
            return dict(counts)

        return self._spaces.on(space, read)

    def outgrown(self, space: str) -> bool:
        current = self._spaces.current(space)
        if self._connection.lite or current is None or self._spaces.has_graph(current):
            return False
        vector_bytes = self._spaces.count_rows(space, "") * self._spaces.dimension(space) * 4
        return self._builder.kind_for(vector_bytes) == "HNSW"

    def outdated(self, space: str, layout: Layout) -> bool:
        try:
            return self._spaces.columns(space) != columns_of(layout)
        except SpaceMissing:
            return False

    def size_bytes(self, space: str) -> int:
        row = row_bytes(self._spaces.columns(space), self._spaces.dimension(space))
        return self._spaces.count_rows(space, "") * row
