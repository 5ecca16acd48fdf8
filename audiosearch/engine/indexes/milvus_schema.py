"""How a space looks inside Milvus: its names, its columns, its rows."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from audiosearch.engine.indexes.base import Entry, window_id
from audiosearch.engine.indexes.milvus_expressions import encode_text
from audiosearch.engine.indexes.payloads import Layout, Payload

MAX_TEXTS = 64
"""In a list, such as a track's tags."""
MAX_TEXT = 1200
"""A tag of 100 characters of four UTF-8 bytes each, three letters a byte once encoded."""
TEXT_BYTES = 32
"""What a text, or a list of them, is taken to weigh where sizes are told."""

CHUNK_BYTES = 2_000_000
"""Per write request. Milvus takes 64 MB; small requests let searches in between them."""

GRAPH_DEGREE = 48
GRAPH_BUILD_BREADTH = 400
GRAPH_SEARCH_BREADTH = 320
ALL_LISTS = 65_536

EXACT_BYTES = 16_000_000
"""Vectors of up to this size, the server compares all of them: beyond, a graph is faster."""

Row = dict[str, Any]


def encode_space(space: str) -> str:
    """Spell a space's name in Milvus's alphabet; one to one: `a_b-v1` is `a_x5fb_x2dv1`."""
    return re.sub(
        r"[^A-Za-z0-9]",
        lambda found: "".join(f"_x{byte:02x}" for byte in found.group().encode()),
        space,
    )


def decode_space(name: str) -> str | None:
    """The inverse of `encode_space`; None when `name` is no space's name."""
    if not re.fullmatch(r"(?:[A-Za-z0-9]|_x[0-9a-f]{2})+", name):
        return None
    encoded = re.sub(
        r"_x([0-9a-f]{2})|(.)",
        lambda found: found.group(1) or f"{ord(found.group(2)):02x}",
        name,
    )
    return bytes.fromhex(encoded).decode(errors="replace")


def alias_of(prefix: str, space: str) -> str:
    """The name searches use: an alias of the physical collection that is current."""
    return f"{prefix}_{encode_space(space)}"


def revision_of(prefix: str, space: str, collection: str) -> int | None:
    """Which revision of the space a physical collection is; None when it is none of them."""
    found = re.fullmatch(re.escape(alias_of(prefix, space)) + r"_r(\d+)", collection)
    return int(found.group(1)) if found else None


def payload_columns(layout: Layout) -> Row:
    """Name and pymilvus type of each column of a payload; the item's id comes first."""
    from pymilvus import DataType

    return {
        layout.item: DataType.INT64,
        **dict.fromkeys(layout.integers, DataType.INT64),
        **dict.fromkeys(layout.texts, DataType.VARCHAR),
        **dict.fromkeys(layout.text_lists, DataType.ARRAY),
    }


def columns_of(layout: Layout) -> Row:
    """Name and pymilvus type of every column; the item's id comes second."""
    from pymilvus import DataType

    return {
        "id": DataType.INT64,
        layout.item: DataType.INT64,
        "start_ms": DataType.INT64,
        "end_ms": DataType.INT64,
        **payload_columns(layout),
        "embedding": DataType.FLOAT_VECTOR,
    }


def create_schema(client: Any, dimension: int, layout: Layout) -> Any:
    """What `columns_of` says, as Milvus takes it."""
    from pymilvus import DataType

    return add_fields(client, columns_of(layout), {DataType.FLOAT_VECTOR: {"dim": dimension}})


def add_fields(client: Any, columns: Row, vectors: dict[Any, Row]) -> Any:
    """A schema of these columns, of which "id" is the key; vectors: options by their type."""
    from pymilvus import DataType

    options: dict[Any, Row] = {
        DataType.VARCHAR: {"max_length": MAX_TEXT},
        DataType.ARRAY: {
            "element_type": DataType.VARCHAR,
            "max_capacity": MAX_TEXTS,
            "max_length": MAX_TEXT,
        },
        **vectors,
    }
    schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
    for name, kind in columns.items():
        schema.add_field(name, kind, is_primary=name == "id", **options.get(kind, {}))
    return schema


def row_bytes(columns: Row, dimension: int) -> int:
    """About what a row of these columns takes: texts vary, and are taken to be short."""
    from pymilvus import DataType

    sizes = {DataType.INT64: 8, DataType.FLOAT_VECTOR: 4 * dimension}
    return sum(sizes.get(kind, TEXT_BYTES) for kind in columns.values())


def create_index_params(client: Any, kind: str) -> Any:
    """Cosine similarity under an index of this kind."""
    graph = {"M": GRAPH_DEGREE, "efConstruction": GRAPH_BUILD_BREADTH}
    params = client.prepare_index_params()
    params.add_index(
        "embedding",
        index_type=kind,
        metric_type="COSINE",
        params=graph if kind == "HNSW" else {},
    )
    return params


def search_params(limit: int) -> Row:
    """For any index a space may have; each takes what it knows."""
    breadth = max(limit, GRAPH_SEARCH_BREADTH)
    return {"metric_type": "COSINE", "params": {"ef": breadth, "nprobe": ALL_LISTS}}


def payload_row(payload: Payload) -> Row:
    """The columns of a payload, as every window of its item has them."""
    layout = payload.layout
    shared: Row = {name: getattr(payload, name) for name in (layout.item, *layout.integers)}
    shared |= {name: encode_text(getattr(payload, name)) for name in layout.texts}
    for name in layout.text_lists:
        shared[name] = [encode_text(text) for text in getattr(payload, name)]
    return shared


def rows_of(entry: Entry) -> Iterator[Row]:
    """One row per window. Raises ValueError when embeddings and spans differ in number."""
    shared = payload_row(entry.payload)
    for number, (embedding, span) in enumerate(zip(entry.embeddings, entry.spans, strict=True)):
        yield {
            "id": window_id(entry.payload.item_id, number),
            "start_ms": span[0],
            "end_ms": span[1],
            "embedding": embedding,
            **shared,
        }


def chunks_of(entries: Iterable[Entry], limit: int = CHUNK_BYTES) -> Iterator[list[Row]]:
    """All rows of these entries in lists of at most about `limit` bytes."""
    chunk: list[Row] = []
    size = 0
    for entry in entries:
        for row in rows_of(entry):
            lists = (row[name] for name in entry.payload.layout.text_lists)
            weight = 100 + row["embedding"].nbytes + sum(len(t) for texts in lists for t in texts)
            if chunk and size + weight > limit:
                yield chunk
                chunk, size = [], 0
            chunk.append(row)
            size += weight
    if chunk:
        yield chunk
