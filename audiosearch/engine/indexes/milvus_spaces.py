"""Spaces by name in Milvus: which collection each is, and calls that survive its replacement."""

import re
import time
from collections.abc import Callable
from typing import Any, TypeVar

from audiosearch.engine.errors import SpaceMissing
from audiosearch.engine.indexes.milvus_connection import MilvusConnection, NotLoaded
from audiosearch.engine.indexes.milvus_schema import Row, alias_of, columns_of, decode_space
from audiosearch.engine.indexes.payloads import Layout

T = TypeVar("T")

BUILD_TIMEOUT_S = 600.0
ATTEMPTS = 4
SEARCH_S = 1.5
"""A server takes milliseconds; one that takes longer hangs, and the caller should know soon."""


class MilvusSpaces:
    """The aliases `{prefix}_{space}`, each of which points to the space's current collection."""

    def __init__(self, connection: MilvusConnection, *, prefix: str, timeout_s: float) -> None:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", prefix):
            raise ValueError("A Milvus prefix is made of letters, digits and underscores.")
        self.connection = connection
        self.prefix = prefix
        self.timeout_s = timeout_s
        self._layouts: dict[str, Layout] = {}

    @property
    def search_s(self) -> float:
        """How long somebody who searches waits. Lite does one thing at a time, be it a long one."""
        return self.timeout_s if self.connection.lite else min(SEARCH_S, self.timeout_s)

    def names(self) -> list[str]:
        answer = self.connection.call(lambda client: client.list_aliases(timeout=self.timeout_s))
        start = f"{self.prefix}_"
        names = (a.removeprefix(start) for a in answer["aliases"] if a.startswith(start))
        return sorted(space for name in names if (space := decode_space(name)) is not None)

    def alias(self, space: str) -> str:
        return alias_of(self.prefix, space)

    def current(self, space: str) -> str | None:
        """The physical collection the space's alias points to; None when there is no space."""
        alias = self.alias(space)
        try:
            answer = self.connection.call(
                lambda client: client.describe_alias(alias, timeout=self.timeout_s)
            )
        except SpaceMissing:
            return None
        return str(answer["collection_name"])

    def require(self, space: str) -> None:
        """Raises SpaceMissing when there is no such space."""
        if self.current(space) is None:
            raise SpaceMissing(f'The vector index has no space "{space}".')

    def require_layout(self, space: str, layout: Layout) -> None:
        """Raises SpaceMissing when there is no such space, or one with other columns.

        Milvus is asked once, as only an older version would bring back other columns.
        """
        if self._layouts.get(space) != layout:
            if self.columns(space) != columns_of(layout):
                raise SpaceMissing(f'The space "{space}" has other columns and must be rebuilt.')
            self._layouts[space] = layout

    def changed(self, space: str) -> None:
        """Forget the space's columns; to be called when it got another collection, or none."""
        self._layouts.pop(space, None)

    def columns(self, space: str) -> Row:
        """As `columns_of` gives them: name and pymilvus type of every column of the space."""
        return {field["name"]: field["type"] for field in self._fields(space)}

    def dimension(self, space: str) -> int:
        """Of the space's embeddings."""
        fields = self._fields(space)
        return next(int(f["params"]["dim"]) for f in fields if f["name"] == "embedding")

    def has_graph(self, collection: str) -> bool:
        """Whether a physical collection is indexed by a graph."""
        index = self.connection.call(
            lambda client: client.describe_index(collection, "embedding", timeout=self.timeout_s)
        )
        return bool(index) and index["index_type"] == "HNSW"

    def on(self, space: str, work: Callable[[Any], T]) -> T:
        """Call, and again when the collection was just replaced, or is not in memory yet."""
        alias = self.alias(space)
        for attempt in range(1, ATTEMPTS):
            try:
                return self.connection.call(work)
            except NotLoaded:
                self.connection.call(
                    lambda client: client.load_collection(alias, timeout=BUILD_TIMEOUT_S)
                )
            except SpaceMissing:
                self.require(space)
                time.sleep(0.05 * attempt)
        return self.connection.call(work)

    def count_rows(self, space: str, expression: str) -> int:
        """How many windows the expression holds for; all when it is empty."""
        alias = self.alias(space)
        rows = self.on(
            space,
            lambda client: client.query(
                alias,
                filter=expression,
                output_fields=["count(*)"],
                consistency_level="Bounded",
                timeout=self.timeout_s,
            ),
        )
        return int(rows[0]["count(*)"])

    def _fields(self, space: str) -> list[Row]:
        alias = self.alias(space)
        answer = self.on(
            space, lambda client: client.describe_collection(alias, timeout=self.search_s)
        )
        return list(answer["fields"])
