"""The vector index on Milvus: the same code against Milvus Lite and the Milvus server."""

import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from audiosearch.engine.analyzers.base import FloatArray
from audiosearch.engine.errors import EngineError, SpaceMissing
from audiosearch.engine.indexes.base import Filter, Match, TrackWindows
from audiosearch.engine.indexes.filters import to_expression, tracks_expression
from audiosearch.engine.indexes.milvus_connection import MilvusConnection, NotLoaded
from audiosearch.engine.indexes.milvus_ranks import (
    crowded,
    exact_limits,
    graph_limits,
    rank,
    settled,
)
from audiosearch.engine.indexes.milvus_schema import (
    EXACT_BYTES,
    EXACT_PARTS,
    GRAPH_SEARCH_BREADTH,
    Row,
    alias_of,
    chunks_of,
    create_index_params,
    create_schema,
    decode_space,
    revision_of,
    search_params,
)

T = TypeVar("T")

MAX_WINDOWS = 16_384
"""The most rows Milvus gives in one page of a query."""
IDS_PER_DELETE = 1_000
BUILD_TIMEOUT_S = 600.0
DRAIN_S = 1.0
"""How long a replaced collection is kept for the searches already under way in it."""
ATTEMPTS = 4
SEARCH_S = 1.5
"""A server takes milliseconds; one that takes longer hangs, and the caller should know soon."""
POLL_S = 0.2


class MilvusIndex:
    """VectorIndex on the Milvus at `uri` (`http://host:port`); connects at the first call.

    Each space is a collection `{prefix}_{space}_r{n}` behind an alias `{prefix}_{space}`. Writes
    wait until they can be seen, so that searches need not: with the server's strong consistency
    every search would take a 200 ms tick of its clock. Searches ask for bounded staleness, which
    costs nothing, yet waits while a server just started is still reading its log back.
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
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", prefix):
            raise ValueError("A Milvus prefix is made of letters, digits and underscores.")
        self._prefix = prefix
        self._timeout_s = timeout_s
        self._exact_bytes = exact_bytes
        self._connection = MilvusConnection(uri, token=token, timeout_s=timeout_s)

    def ping(self) -> None:
        self._connection.call(lambda client: client.get_server_version(timeout=self._search_s))

    def spaces(self) -> list[str]:
        answer = self._connection.call(lambda client: client.list_aliases(timeout=self._timeout_s))
        start = f"{self._prefix}_"
        names = (a.removeprefix(start) for a in answer["aliases"] if a.startswith(start))
        return sorted(space for name in names if (space := decode_space(name)) is not None)

    def create_space(self, space: str, dimension: int) -> None:
        for attempt in range(ATTEMPTS):
            if self._current(space) is not None:
                return
            try:
                self._point_alias(space, self._build(space, dimension, ()), new=True)
            except EngineError as problem:  # another process may be creating the same space
                if problem.retryable or attempt == ATTEMPTS - 1:
                    raise
                time.sleep(0.2)

    def drop_space(self, space: str) -> None:
        alias = alias_of(self._prefix, space)
        self._connection.call(lambda client: client.drop_alias(alias, timeout=self._timeout_s))
        self._drop_revisions(space, keep=None)

    def upsert(self, space: str, tracks: Sequence[TrackWindows]) -> None:
        self._write(space, alias_of(self._prefix, space), tracks)
        self._settle(space, alias_of(self._prefix, space))

    def delete_tracks(self, space: str, track_ids: Sequence[int]) -> None:
        for start in range(0, len(track_ids), IDS_PER_DELETE):
            self._delete(space, tracks_expression(track_ids[start : start + IDS_PER_DELETE]))
        self._settle(space, alias_of(self._prefix, space))

    def search(self, space: str, queries: FloatArray, top_k: int, where: Filter) -> list[Match]:
        """See VectorIndex.search.

        Milvus ranks windows, and one long recording can fill any number of ranks. So ask for more
        windows than tracks; a track is settled when no window unseen can be nearer than its best
        one. Until `top_k` are settled, ask for more. Milvus's own grouping gives fewer tracks than
        asked for when one of them crowds the ranks.

        Tracks to leave out stay in at first: a graph finds little when all that lies near the
        query is filtered out, or when alike windows have no edge that leads away from them.
        """
        if top_k < 1 or not len(queries):
            self._require(space)
            return []
        alias = alias_of(self._prefix, space)
        if self._connection.lite:
            return self._search_exactly(space, alias, queries, top_k, where)
        asked = replace(where, exclude_track_ids=())
        for limit in graph_limits(top_k, len(queries), GRAPH_SEARCH_BREADTH):
            lists = self._nearest(space, alias, queries, limit, to_expression(asked))
            if crowded(lists, GRAPH_SEARCH_BREADTH):
                break
            found, complete = settled(lists, limit, top_k, where.exclude_track_ids)
            if len(found) >= top_k or (complete and self._holds_no_more(space, asked, lists)):
                return found
            if complete:
                break
        collection = self._current(space) or alias
        parts = EXACT_PARTS if self._has_graph(collection) else ("",)
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
        """The nearest tracks among the rows of `part`, every one of them compared."""
        matches: dict[int, Match] = {}
        for limit in exact_limits(top_k, len(queries), lite=self._connection.lite):
            known = replace(where, exclude_track_ids=(*where.exclude_track_ids, *matches))
            expression = " and ".join(filter(None, (to_expression(known), part)))
            lists = self._nearest(space, collection, queries, limit, expression)
            found, complete = settled(lists, limit, top_k)
            matches.update((match.track_id, match) for match in found)
            if len(matches) >= top_k or complete:
                break
            if collection == alias_of(self._prefix, space):
                collection = self._current(space) or collection
                matches.clear()  # further rounds must not see another revision
        return sorted(matches.values(), key=rank)[:top_k]

    def _holds_no_more(self, space: str, where: Filter, lists: Any) -> bool:
        """Whether the shortest answer already has every window that `where` allows."""
        rows = self._query(space, to_expression(where), "count(*)")
        return min(map(len, lists)) >= int(rows[0]["count(*)"])

    def _kind_for(self, vector_bytes: int) -> str:
        """The index type for so much; see `docs/performance.md` for the measurements.

        Lite's FLAT is NumPy, and copies all vectors for each query; its IVF_FLAT is faiss, and
        with all lists probed as exact. The server's FLAT is exact too, in time linear in the
        bytes; many are better kept in a graph (Malkov and Yashunin, arXiv 1603.09320).
        """
        if self._connection.lite:
            return "IVF_FLAT"
        return "HNSW" if vector_bytes > self._exact_bytes else "FLAT"

    def _has_graph(self, collection: str) -> bool:
        index = self._connection.call(
            lambda client: client.describe_index(collection, "embedding", timeout=self._timeout_s)
        )
        return bool(index) and index["index_type"] == "HNSW"

    def outgrown(self, space: str) -> bool:
        current = self._current(space)
        if self._connection.lite or current is None or self._has_graph(current):
            return False
        return self._kind_for(self._bytes_of(current)) == "HNSW"

    def _bytes_of(self, collection: str) -> int:
        """Size of the vectors of a collection, about: deleted rows may still be counted."""

        def read(client: Any) -> int:
            rows = client.get_collection_stats(collection, timeout=self._timeout_s)["row_count"]
            fields = client.describe_collection(collection, timeout=self._timeout_s)["fields"]
            dimension = next(f["params"]["dim"] for f in fields if f["name"] == "embedding")
            return int(rows) * int(dimension) * 4

        return self._connection.call(read)

    def count_tracks(self, space: str, where: Filter) -> int:
        # Every track has exactly one window that starts at zero.
        expression = " and ".join(filter(None, ("start_ms == 0", to_expression(where))))
        rows = self._query(space, expression, "count(*)")
        return int(rows[0]["count(*)"])

    def window_counts(self, space: str) -> dict[int, int]:
        alias = alias_of(self._prefix, space)

        def read(client: Any) -> dict[int, int]:
            counts: Counter[int] = Counter()
            pages = client.query_iterator(
                alias,
                filter="",
                batch_size=MAX_WINDOWS,
                output_fields=["track_id"],
                consistency_level="Strong",
                timeout=self._timeout_s,
            )
            while page := pages.next():
                counts.update(row["track_id"] for row in page)
            pages.close()
            return dict(counts)

        return self._on(space, read)

    def rebuild(self, space: str, dimension: int, tracks: Iterable[TrackWindows]) -> None:
        """See VectorIndex.rebuild. One rebuild of a space at a time: it drops what it finds of
        half-built ones."""
        old = self._current(space)
        self._drop_revisions(space, keep=old)
        fresh = self._build(space, dimension, tracks)
        self._point_alias(space, fresh, new=old is None)
        time.sleep(DRAIN_S)
        self._drop_revisions(space, keep=fresh)

    def _build(self, space: str, dimension: int, tracks: Iterable[TrackWindows]) -> str:
        """A new physical collection, filled, indexed and loaded; no alias points to it yet."""
        numbers = [revision_of(self._prefix, space, name) or 0 for name in self._revisions(space)]
        name = f"{alias_of(self._prefix, space)}_r{max(numbers, default=0) + 1}"
        self._connection.call(
            lambda client: client.create_collection(
                name, schema=create_schema(client, dimension), timeout=BUILD_TIMEOUT_S
            )
        )
        written = self._write(space, name, tracks)
        kind = self._kind_for(written * dimension * 4)

        def index(client: Any) -> None:
            if written:
                client.flush(name, timeout=BUILD_TIMEOUT_S)
            params = create_index_params(client, kind)
            client.create_index(name, params, sync=False, timeout=self._timeout_s)

        self._connection.call(index)
        self._await_index(name, written)
        self._connection.call(lambda client: client.load_collection(name, timeout=BUILD_TIMEOUT_S))
        if written:
            self._settle(space, name)
        return name

    def _await_index(self, collection: str, rows: int) -> None:
        """Return when so many rows are indexed, however long that takes; a server gone raises.

        The server may then go on to merge what it has indexed, and index that anew; searches need
        not wait for it.
        """
        while not self._connection.lite:
            index = self._connection.call(
                lambda client: client.describe_index(
                    collection, "embedding", timeout=self._timeout_s
                )
            )
            pending = int(index.get("pending_index_rows", 0))
            if not pending or int(index.get("indexed_rows", 0)) >= rows > 0:
                return
            time.sleep(POLL_S)

    def _write(self, space: str, collection: str, tracks: Iterable[TrackWindows]) -> int:
        written = 0
        for rows in chunks_of(tracks):
            self._put(space, collection, rows)
            written += len(rows)
        return written

    def _put(self, space: str, collection: str, rows: list[Row]) -> None:
        self._on(space, lambda client: client.upsert(collection, rows, timeout=self._timeout_s))

    def _delete(self, space: str, expression: str) -> None:
        alias = alias_of(self._prefix, space)
        self._on(
            space, lambda client: client.delete(alias, filter=expression, timeout=self._timeout_s)
        )

    def _settle(self, space: str, collection: str) -> None:
        """Return when every reader sees what was written, and sees it fast.

        Lite scans rows it has not flushed in Python, 36 µs each, and a flush takes it 6 ms. From
        the server, a strong read returns when all writes before it can be seen by any later read.
        """
        if self._connection.lite:
            self._on(space, lambda client: client.flush(collection, timeout=self._timeout_s))
        else:
            self._query(
                space, "id >= 0", "id", collection=collection, limit=1, consistency="Strong"
            )

    def _nearest(
        self, space: str, collection: str, queries: FloatArray, limit: int, expression: str
    ) -> Any:
        """For each query vector its `limit` nearest windows, as pymilvus gives them."""
        return self._on(
            space,
            lambda client: client.search(
                collection,
                data=list(np.asarray(queries, dtype=np.float32)),
                filter=expression,
                limit=limit,
                output_fields=["start_ms", "end_ms"],
                search_params=search_params(limit),
                consistency_level="Bounded",
                timeout=self._search_s,
            ),
        )

    @property
    def _search_s(self) -> float:
        """How long somebody who searches waits. Lite does one thing at a time, be it a long one."""
        return self._timeout_s if self._connection.lite else min(SEARCH_S, self._timeout_s)

    def _query(
        self,
        space: str,
        expression: str,
        field: str,
        *,
        collection: str | None = None,
        limit: int | None = None,
        consistency: str = "Bounded",
    ) -> Any:
        name = collection or alias_of(self._prefix, space)
        options = {} if limit is None else {"limit": limit}
        return self._on(
            space,
            lambda client: client.query(
                name,
                filter=expression,
                output_fields=[field],
                consistency_level=consistency,
                timeout=self._timeout_s,
                **options,
            ),
        )

    def _on(self, space: str, work: Callable[[Any], T]) -> T:
        """Call, and again when the collection was just replaced, or is not in memory yet."""
        alias = alias_of(self._prefix, space)
        for attempt in range(1, ATTEMPTS):
            try:
                return self._connection.call(work)
            except NotLoaded:
                self._connection.call(
                    lambda client: client.load_collection(alias, timeout=BUILD_TIMEOUT_S)
                )
            except SpaceMissing:
                self._require(space)
                time.sleep(0.05 * attempt)
        return self._connection.call(work)

    def _require(self, space: str) -> None:
        if self._current(space) is None:
            raise SpaceMissing(f'The vector index has no space "{space}".')

    def _current(self, space: str) -> str | None:
        """The physical collection the space's alias points to; None when there is no space."""
        alias = alias_of(self._prefix, space)
        try:
            answer = self._connection.call(
                lambda client: client.describe_alias(alias, timeout=self._timeout_s)
            )
        except SpaceMissing:
            return None
        return str(answer["collection_name"])

    def _revisions(self, space: str) -> list[str]:
        names = self._connection.call(
            lambda client: client.list_collections(timeout=self._timeout_s)
        )
        return [n for n in names if revision_of(self._prefix, space, n) is not None]

    def _drop_revisions(self, space: str, *, keep: str | None) -> None:
        for name in self._revisions(space):
            if name != keep:
                self._drop(name)

    def _drop(self, collection: str) -> None:
        self._connection.call(
            lambda client: client.drop_collection(collection, timeout=BUILD_TIMEOUT_S)
        )

    def _point_alias(self, space: str, collection: str, *, new: bool) -> None:
        alias = alias_of(self._prefix, space)
        self._connection.call(
            lambda client: (client.create_alias if new else client.alter_alias)(
                collection, alias, timeout=self._timeout_s
            )
        )
