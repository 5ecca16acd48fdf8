"""Writing to spaces in Milvus, and building the collections they are."""

import time
from collections.abc import Iterable, Iterator
from typing import Any

from audiosearch.engine.errors import EngineError
from audiosearch.engine.indexes.milvus_schema import (
    Row,
    chunks_of,
    create_index_params,
    create_schema,
    revision_of,
)
from audiosearch.engine.indexes.milvus_spaces import ATTEMPTS, BUILD_TIMEOUT_S, MilvusSpaces
from audiosearch.engine.indexes.payloads import Layout

DRAIN_S = 1.0
"""How long a replaced collection is kept for the searches already under way in it."""
POLL_S = 0.2


class MilvusBuilder:
    """Each space is a collection `{prefix}_{space}_r{n}`; a higher n replaces it.

    Writes wait until they can be seen, so that searches need not: with the server's strong
    consistency every search would take a 200 ms tick of its clock. What is kept of an item other
    than windows' embeddings has a builder with other columns; see `landmarks_milvus`.
    """

    _vectors = "embedding"
    """The column that is indexed."""

    def __init__(self, spaces: MilvusSpaces, *, exact_bytes: int) -> None:
        self._spaces = spaces
        self._connection = spaces.connection
        self._timeout_s = spaces.timeout_s
        self._exact_bytes = exact_bytes

    def create(self, space: str, dimension: int, layout: Layout) -> None:
        for attempt in range(ATTEMPTS):
            if self._spaces.current(space) is not None:
                return
            try:
                built = self._build(space, dimension, layout, ())
                self._point_alias(space, built, new=True)
            except EngineError as problem:  # another process may be creating the same space
                if problem.retryable or attempt == ATTEMPTS - 1:
                    raise
                time.sleep(0.2)

    def rebuild(self, space: str, dimension: int, layout: Layout, entries: Iterable[Any]) -> None:
        """One rebuild of a space at a time: it drops what it finds of half-built ones."""
        old = self._spaces.current(space)
        self._drop_revisions(space, keep=old)
        fresh = self._build(space, dimension, layout, entries)
        self._point_alias(space, fresh, new=old is None)
        time.sleep(DRAIN_S)
        self._drop_revisions(space, keep=fresh)

    def drop(self, space: str) -> None:
        alias = self._spaces.alias(space)
        self._connection.call(lambda client: client.drop_alias(alias, timeout=self._timeout_s))
        self._spaces.changed(space)
        self._drop_revisions(space, keep=None)

    def upsert(self, space: str, entries: Iterable[Any]) -> None:
        self._write(space, self._spaces.alias(space), entries)
        self._settle(space, self._spaces.alias(space))

    def delete(self, space: str, expressions: Iterable[str]) -> None:
        """Remove the windows for which any of the expressions holds."""
        alias = self._spaces.alias(space)

        def delete(client: Any) -> None:
            for expression in expressions:
                client.delete(alias, filter=expression, timeout=self._timeout_s)

        self._spaces.on(space, delete)
        self._settle(space, alias)

    def kind_for(self, vector_bytes: int) -> str:
        """The index type for so much; see `docs/performance.md` for the measurements.

        Lite's FLAT is NumPy, and copies all vectors for each query; its IVF_FLAT is faiss, and
        with all lists probed as exact. The server's FLAT is exact too, in time linear in the
        bytes; many are better kept in a graph (Malkov and Yashunin, arXiv 1603.09320).
        """
        if self._connection.lite:
            return "IVF_FLAT"
        return "HNSW" if vector_bytes > self._exact_bytes else "FLAT"

    def _schema(self, client: Any, dimension: int, layout: Layout) -> Any:
        return create_schema(client, dimension, layout)

    def _index_params(self, client: Any, vector_bytes: int) -> Any:
        return create_index_params(client, self.kind_for(vector_bytes))

    def _chunks(self, entries: Iterable[Any]) -> Iterator[list[Row]]:
        return chunks_of(entries)

    def _build(self, space: str, dimension: int, layout: Layout, entries: Iterable[Any]) -> str:
        """A new physical collection, filled, indexed and loaded; no alias points to it yet."""
        prefix = self._spaces.prefix
        numbers = [revision_of(prefix, space, name) or 0 for name in self._revisions(space)]
        name = f"{self._spaces.alias(space)}_r{max(numbers, default=0) + 1}"
        self._connection.call(
            lambda client: client.create_collection(
                name,
                schema=self._schema(client, dimension, layout),
                timeout=BUILD_TIMEOUT_S,
            )
        )
        written = self._write(space, name, entries)

        def index(client: Any) -> None:
            if written:
                client.flush(name, timeout=BUILD_TIMEOUT_S)
            params = self._index_params(client, written * dimension * 4)
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
                    collection, self._vectors, timeout=self._timeout_s
                )
            )
            pending = int(index.get("pending_index_rows", 0))
            if not pending or int(index.get("indexed_rows", 0)) >= rows > 0:
                return
            time.sleep(POLL_S)

    def _write(self, space: str, collection: str, entries: Iterable[Any]) -> int:
        written = 0
        for rows in self._chunks(entries):
            self._put(space, collection, rows)
            written += len(rows)
        return written

    def _put(self, space: str, collection: str, rows: list[Row]) -> None:
        self._spaces.on(
            space, lambda client: client.upsert(collection, rows, timeout=self._timeout_s)
        )

    def _settle(self, space: str, collection: str) -> None:
        """Return when every reader sees what was written, and sees it fast.

        Lite scans rows it has not flushed in Python, 36 µs each, and a flush takes it 6 ms. From
        the server, a strong read returns when all writes before it can be seen by any later read.
        """

        def settle(client: Any) -> None:
            if self._connection.lite:
                client.flush(collection, timeout=self._timeout_s)
            else:
                client.query(
                    collection,
                    filter="id >= 0",
                    output_fields=["id"],
                    limit=1,
                    consistency_level="Strong",
                    timeout=self._timeout_s,
                )

        self._spaces.on(space, settle)

    def _point_alias(self, space: str, collection: str, *, new: bool) -> None:
        alias = self._spaces.alias(space)
        self._connection.call(
            lambda client: (client.create_alias if new else client.alter_alias)(
                collection, alias, timeout=self._timeout_s
            )
        )
        self._spaces.changed(space)

    def _revisions(self, space: str) -> list[str]:
        names = self._connection.call(
            lambda client: client.list_collections(timeout=self._timeout_s)
        )
        return [n for n in names if revision_of(self._spaces.prefix, space, n) is not None]

    def _drop_revisions(self, space: str, *, keep: str | None) -> None:
        for name in self._revisions(space):
            if name != keep:
                self._drop_collection(name)

    def _drop_collection(self, collection: str) -> None:
        self._connection.call(
            lambda client: client.drop_collection(collection, timeout=BUILD_TIMEOUT_S)
        )
