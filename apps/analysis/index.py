"""This process's connection to the vector index, and what of a track the index holds."""

from functools import lru_cache

from django.conf import settings

from apps.catalog.models import Track
from audiosearch.engine.errors import SpaceMissing
from audiosearch.engine.indexes.base import VectorIndex
from audiosearch.engine.indexes.exact import ExactIndex
from audiosearch.engine.indexes.milvus import MilvusIndex
from audiosearch.engine.indexes.payloads import TrackPayload


@lru_cache(maxsize=1)
def get_index() -> VectorIndex:
    """The index at MILVUS_URI; "memory:" is the exact twin, for tests without servers."""
    if settings.MILVUS_URI == "memory:":
        return ExactIndex()
    return MilvusIndex(
        settings.MILVUS_URI, token=settings.MILVUS_TOKEN, prefix=settings.MILVUS_PREFIX
    )


def size_of(space: str) -> int:
    """Bytes that a space takes in the index; 0 while it is not in it. Raises IndexUnavailable."""
    try:
        return get_index().size_bytes(space)
    except SpaceMissing:
        return 0


def track_payload(track: Track) -> TrackPayload:
    """The fields of a track that searches filter by; one query for its tags unless prefetched."""
    return TrackPayload(
        track_id=track.pk,
        kind=track.kind,
        collection_id=track.collection_id or 0,
        tags=tuple(tag.name for tag in track.tags.all()),
        duration_ms=track.duration_ms,
        added_at=int(track.added_at.timestamp()),
    )
