"""The landmark index on Milvus 2.4 or later, or Lite: sparse windows, for many machines.

A row is a thin window; see `landmarks_windows`. What is kept of the recordings is read by the
asker, for the few tracks that a query has something in common with.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from audiosearch.engine.analyzers.landmarks.representation import Landmarks
from audiosearch.engine.errors import EngineError, SpaceMissing
from audiosearch.engine.indexes.base import window_id
from audiosearch.engine.indexes.filters import TrackFilter
from audiosearch.engine.indexes.landmarks_base import Candidates, LandmarkEntry, LandmarkQuery
from audiosearch.engine.indexes.landmarks_voting import no_candidates
from audiosearch.engine.indexes.landmarks_windows import query_vector, thin_windows, vote_around
from audiosearch.engine.indexes.milvus_building import MilvusBuilder
from audiosearch.engine.indexes.milvus_connection import MilvusConnection
from audiosearch.engine.indexes.milvus_expressions import all_of, items_expression, to_expression
from audiosearch.engine.indexes.milvus_schema import (
    Row,
    add_fields,
    payload_columns,
    payload_row,
)
from audiosearch.engine.indexes.milvus_spaces import MilvusSpaces
from audiosearch.engine.indexes.payloads import Layout

Load = Callable[[Sequence[int]], Mapping[int, Landmarks]]
"""Given items, the kept landmarks of those that are still there."""
WINDOWS = 1_000
"""How many windows a query is compared with more closely; the prototype found in them what all
postings would find in 100 h."""
ROWS_PER_REQUEST = 1_000
ROW_BYTES = 1_000
"""About what the 99 hashes of a window take, with its payload."""
SPARSE_SINCE = (2, 4)
ITEMS_PER_DELETE = 1_000
PAGE = 16_384


def columns_of(layout: Layout) -> Row:
    """Name and pymilvus type of every column."""
    from pymilvus import DataType

    return {
        "id": DataType.INT64,
        **payload_columns(layout),
        "number": DataType.INT64,
        "peaks": DataType.INT64,
        "landmarks": DataType.SPARSE_FLOAT_VECTOR,
    }


class LandmarkBuilder(MilvusBuilder):
    """Builds collections of sparse windows."""

    _vectors = "landmarks"

    def _schema(self, client: Any, dimension: int, layout: Layout) -> Any:
        return add_fields(client, columns_of(layout), {})

    def _index_params(self, client: Any, vector_bytes: int) -> Any:
        params = client.prepare_index_params()
        params.add_index("landmarks", index_type="SPARSE_INVERTED_INDEX", metric_type="IP")
        return params

    def _chunks(self, entries: Iterable[LandmarkEntry]) -> Iterator[list[Row]]:
        chunk: list[Row] = []
        for entry in entries:
            for row in _rows_of(entry):
                chunk.append(row)
                if len(chunk) == ROWS_PER_REQUEST:
                    yield chunk
                    chunk = []
        if chunk:
            yield chunk


class MilvusLandmarkIndex:
    """LandmarkIndex on the Milvus at `uri`; connects at the first call.

    load: gives the kept landmarks of items, from where all who ask can read them.
    """

    def __init__(
        self,
        uri: str,
        load: Load,
        *,
        token: str = "",
        prefix: str = "audiosearch_landmarks",
        timeout_s: float = 10.0,
    ) -> None:
        self._load = load
        self._timeout_s = timeout_s
        self._connection = MilvusConnection(uri, token=token, timeout_s=timeout_s)
        self._spaces = MilvusSpaces(self._connection, prefix=prefix, timeout_s=timeout_s)
        self._builder = LandmarkBuilder(self._spaces, exact_bytes=0)
        self._layouts: dict[str, Layout] = {}

    def ping(self) -> None:
        """Return when it answers. Raises EngineError where it holds no sparse vectors."""
        version = str(
            self._connection.call(
                lambda client: client.get_server_version(timeout=self._spaces.search_s)
            )
        )
        if self._connection.lite:
            return
        numbers = version.removeprefix("v").split(".")
        if tuple(int(number) for number in numbers[:2]) < SPARSE_SINCE:
            raise EngineError(
                f"Milvus {version} has no sparse vectors, which landmarks need: run Milvus 2.4 or"
                " later, or keep landmarks in segments (LANDMARK_INDEX=segments)."
            )

    def spaces(self) -> list[str]:
        return self._spaces.names()

    def create_space(self, space: str, layout: Layout) -> None:
        self.ping()
        self._builder.create(space, 0, layout)

    def drop_space(self, space: str) -> None:
        self._builder.drop(space)
        self._layouts.pop(space, None)

    def rebuild(self, space: str, layout: Layout, entries: Iterable[LandmarkEntry]) -> None:
        self.ping()
        self._builder.rebuild(space, 0, layout, entries)
        self._layouts.pop(space, None)

    def upsert(self, space: str, entries: Sequence[LandmarkEntry]) -> None:
        self._spaces.require(space)
        for layout in {entry.payload.layout for entry in entries}:
            self._require_layout(space, layout)
        latest = {entry.payload.item_id: entry for entry in entries}
        if not latest:
            return
        self._builder.upsert(space, latest.values())
        ends: dict[int, list[int]] = {}
        for item, entry in latest.items():
            ends.setdefault(max(n for n, _ in thin_windows(entry.landmarks)), []).append(item)
        column = next(iter(latest.values())).payload.layout.item
        self._builder.delete(
            space,
            [
                all_of(f"number > {end}", items_expression(column, items))
                for end, items in ends.items()
            ],
        )

    def delete_items(self, space: str, item_ids: Sequence[int]) -> None:
        column = list(self._spaces.columns(space))[1]
        starts = range(0, len(item_ids), ITEMS_PER_DELETE)
        self._builder.delete(
            space,
            [items_expression(column, item_ids[at : at + ITEMS_PER_DELETE]) for at in starts],
        )

    def candidates(
        self, space: str, query: LandmarkQuery, top: int, where: TrackFilter
    ) -> Candidates:
        self._require_layout(space, where.layout)
        vector = query_vector(query)
        if top < 1 or not vector:
            return no_candidates()
        alias, item = self._spaces.alias(space), where.layout.item
        (hits,) = self._spaces.on(
            space,
            lambda client: client.search(
                alias,
                data=[vector],
                anns_field="landmarks",
                filter=to_expression(where),
                limit=WINDOWS,
                output_fields=[item, "number"],  # else the vector comes back too
                search_params={"metric_type": "IP", "params": {"drop_ratio_search": 0.0}},
                consistency_level="Bounded",
                timeout=self._spaces.search_s,
            ),
        )
        windows = [(hit["entity"][item], hit["entity"]["number"]) for hit in hits]
        kept = self._load(list(dict.fromkeys(each for each, _ in windows)))
        return vote_around(windows, kept, query, top)

    def count_items(self, space: str, where: TrackFilter) -> int:
        self._require_layout(space, where.layout)
        return self._spaces.count_rows(space, all_of("number == 0", to_expression(where)))

    def item_lengths(self, space: str) -> dict[int, int]:
        alias, item = self._spaces.alias(space), list(self._spaces.columns(space))[1]

        def read(client: Any) -> dict[int, int]:
            lengths: dict[int, int] = {}
            pages = client.query_iterator(
                alias,
                filter="number == 0",
                batch_size=PAGE,
                output_fields=[item, "peaks"],
                consistency_level="Strong",
                timeout=self._timeout_s,
            )
            while page := pages.next():
                lengths.update((row[item], row["peaks"]) for row in page)
            pages.close()
            return lengths

        return self._spaces.on(space, read)

    def outgrown(self, space: str) -> bool:
        """Never: Milvus merges what it holds itself."""
        return False

    def outdated(self, space: str, layout: Layout) -> bool:
        try:
            return self._spaces.columns(space) != columns_of(layout)
        except SpaceMissing:
            return False

    def size_bytes(self, space: str) -> int:
        return self._spaces.count_rows(space, "") * ROW_BYTES

    def _require_layout(self, space: str, layout: Layout) -> None:
        """Milvus is asked once, as only an older version would bring back other columns."""
        if self._layouts.get(space) != layout:
            if self._spaces.columns(space) != columns_of(layout):
                raise SpaceMissing(f'The space "{space}" has other columns and must be rebuilt.')
            self._layouts[space] = layout


def _rows_of(entry: LandmarkEntry) -> Iterator[Row]:
    shared = payload_row(entry.payload)
    peaks = len(entry.landmarks.frames)
    for number, vector in thin_windows(entry.landmarks):
        key = window_id(entry.payload.item_id, number)
        yield {"id": key, "number": number, "peaks": peaks, "landmarks": vector, **shared}
