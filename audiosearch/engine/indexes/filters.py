"""One filter read two ways: as a Milvus expression, and as a test on one track (the exact twin).

Milvus has no usable bound parameters (filter templates work neither in Lite nor in the 2.3 server),
so every text is spelled in an alphabet that means nothing to the expression's grammar before it is
stored and before it is asked for. No input can then change the expression, by construction.
"""

from collections.abc import Iterable
from urllib.parse import quote

from audiosearch.engine.indexes.base import Filter, TrackFields

LARGEST = 2**63 - 1
"""Of a Milvus INT64; its parser refuses what is beyond, and the smallest, -(2**63), too."""


def encode_text(text: str) -> str:
    """Spell any text in `A-Z a-z 0-9 _ . - ~ %` (percent-encoded UTF-8, RFC 3986); one to one.

    Up to 12 times as long as the text has characters. Lone surrogates are kept apart too.
    """
    return quote(text, safe="", errors="surrogatepass")


def to_expression(where: Filter) -> str:
    """The Milvus boolean expression that holds for exactly the windows of tracks `where` allows.

    Empty when the filter asks nothing. Fields: see `milvus_schema.create_schema`.
    """
    parts = []
    if where.tags:  # one clause for all: the server refuses expressions 50 levels deep
        parts.append(f"array_contains_all(tags, {_texts(where.tags)})")
    if where.collection_ids:
        parts.append(f"collection_id in {_numbers(where.collection_ids)}")
    if where.kinds:
        parts.append(f"kind in {_texts(where.kinds)}")
    for field, operator, bound in (
        ("duration_ms", ">=", where.min_duration_ms),
        ("duration_ms", "<=", where.max_duration_ms),
        ("added_at", ">=", where.added_from),
        ("added_at", "<=", where.added_to),
    ):
        if bound is not None:
            parts.append(f"{field} {operator} {max(-LARGEST, min(int(bound), LARGEST))}")
    if where.exclude_track_ids:
        parts.append(f"track_id not in {_numbers(where.exclude_track_ids)}")
    if where.exclude_collection_ids:
        parts.append(f"collection_id not in {_numbers(where.exclude_collection_ids)}")
    return " and ".join(parts)


def tracks_expression(track_ids: Iterable[int]) -> str:
    """The expression that holds for exactly the windows of these tracks."""
    return f"track_id in {_numbers(track_ids)}"


def matches(fields: TrackFields, where: Filter) -> bool:
    """Whether a track satisfies the filter; what `to_expression` says, in Python."""
    return (
        set(where.tags) <= set(fields.tags)
        and (not where.collection_ids or fields.collection_id in where.collection_ids)
        and (not where.kinds or fields.kind in where.kinds)
        and _within(fields.duration_ms, where.min_duration_ms, where.max_duration_ms)
        and _within(fields.added_at, where.added_from, where.added_to)
        and fields.track_id not in where.exclude_track_ids
        and fields.collection_id not in where.exclude_collection_ids
    )


def _numbers(values: Iterable[int]) -> str:
    """A list without the numbers that no row can hold."""
    return "[" + ", ".join(str(int(v)) for v in values if -LARGEST <= v <= LARGEST) + "]"


def _texts(values: Iterable[str]) -> str:
    return "[" + ", ".join(f'"{encode_text(value)}"' for value in values) + "]"


def _within(value: int, low: int | None, high: int | None) -> bool:
    return (low is None or value >= low) and (high is None or value <= high)
