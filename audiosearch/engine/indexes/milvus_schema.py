"""How a space looks inside Milvus: its names, its columns, its rows."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from audiosearch.engine.indexes.base import TrackWindows, window_id
from audiosearch.engine.indexes.filters import encode_text

MAX_TAGS = 64
MAX_TEXT = 1200
"""A tag of 100 characters of four UTF-8 bytes each, three letters a byte once encoded."""

CHUNK_BYTES = 2_000_000
"""Per write request. Milvus takes 64 MB; small requests let searches in between them."""

GRAPH_DEGREE = 48
GRAPH_BUILD_BREADTH = 400
GRAPH_SEARCH_BREADTH = 320
ALL_LISTS = 65_536

EXACT_BYTES = 16_000_000
"""Vectors of up to this size, the server compares all of them: beyond, a graph is faster."""

EXACT_PARTS = tuple(f"track_id % 16 == {rest}" for rest in range(16))
"""Filters that together leave all rows, each so few that Milvus compares them rather than walk a
graph: it does where a filter leaves less than 7 %."""

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


def create_schema(client: Any, dimension: int) -> Any:
    """Columns of a space; what `filters.to_expression` may name."""
    from pymilvus import DataType

    schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("id", DataType.INT64, is_primary=True)
    for name in ("track_id", "start_ms", "end_ms", "collection_id", "duration_ms", "added_at"):
        schema.add_field(name, DataType.INT64)
    schema.add_field("kind", DataType.VARCHAR, max_length=MAX_TEXT)
    schema.add_field(
        "tags",
        DataType.ARRAY,
        element_type=DataType.VARCHAR,
        max_capacity=MAX_TAGS,
        max_length=MAX_TEXT,
    )
    schema.add_field("embedding", DataType.FLOAT_VECTOR, dim=dimension)
    return schema


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


def rows_of(track: TrackWindows) -> Iterator[Row]:
    """One row per window. Raises ValueError when embeddings and spans differ in number."""
    fields = track.fields
    shared = {
        "track_id": fields.track_id,
        "collection_id": fields.collection_id,
        "duration_ms": fields.duration_ms,
        "added_at": fields.added_at,
        "kind": encode_text(fields.kind),
        "tags": [encode_text(tag) for tag in fields.tags],
    }
    for number, (embedding, span) in enumerate(zip(track.embeddings, track.spans, strict=True)):
        yield {
            "id": window_id(fields.track_id, number),
            "start_ms": span[0],
            "end_ms": span[1],
            "embedding": embedding,
            **shared,
        }


def chunks_of(tracks: Iterable[TrackWindows], limit: int = CHUNK_BYTES) -> Iterator[list[Row]]:
    """All rows of these tracks in lists of at most about `limit` bytes."""
    chunk: list[Row] = []
    size = 0
    for track in tracks:
        for row in rows_of(track):
            weight = 100 + row["embedding"].nbytes + sum(map(len, row["tags"]))
            if chunk and size + weight > limit:
                yield chunk
                chunk, size = [], 0
            chunk.append(row)
            size += weight
    if chunk:
        yield chunk
