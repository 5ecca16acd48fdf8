"""This process's connection to the vector index, and what of a track the index holds."""

from functools import lru_cache

import numpy as np
from django.conf import settings

from apps.analysis.models import Space, SpaceKind
from apps.catalog.models import Track
from audiosearch.engine.errors import SpaceMissing
from audiosearch.engine.indexes.base import VectorIndex
from audiosearch.engine.indexes.exact import ExactIndex
from audiosearch.engine.indexes.filters import EnrolmentFilter, Filter, TrackFilter
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


def size_of(space: Space) -> int:
    """Bytes that a space takes in the index, about; 0 when it is not in it."""
    if not space.dimension:
        return 0
    try:
        return get_index().size_bytes(space.name)
    except SpaceMissing:
        return 0


def probe_space(space: Space) -> None:
    """Search a space once, as people do.

    Raises SpaceMissing, IndexUnavailable, and IndexUnreadable for one whose files are damaged.
    """
    voices = space.kind == SpaceKind.SPEAKER
    where: Filter = EnrolmentFilter(consent_at=0) if voices else TrackFilter()
    vector = np.full((1, space.dimension), space.dimension**-0.5, dtype=np.float32)
    get_index().search(space.name, vector, 1, where)


def indexed_kind(kind: str, *, for_enrolment: bool) -> str:
    """What the index calls a kind of recordings; those brought to enrol a speaker are their own.

    A column that says so would have every space built anew.
    """
    return f"enrolment/{kind}" if for_enrolment else kind


def track_payload(track: Track) -> TrackPayload:
    """The fields of a track that searches filter by; one query for its tags unless prefetched."""
    return TrackPayload(
        track_id=track.pk,
        kind=indexed_kind(track.kind, for_enrolment=track.for_enrolment),
        collection_id=track.collection_id or 0,
        tags=tuple(tag.name for tag in track.tags.all()),
        duration_ms=track.duration_ms,
        added_at=int(track.added_at.timestamp()),
    )
