"""This process's connections to the indexes, and what of a track they hold."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from django.conf import settings

from apps.analysis.models import SpaceKind
from apps.analysis.representations import NotKept, load_kept
from apps.analysis.spaces import active_name
from apps.catalog.models import Track
from audiosearch.engine.analyzers.base import Embeddings, Representation
from audiosearch.engine.analyzers.landmarks.representation import Landmarks
from audiosearch.engine.indexes.base import Entry, VectorIndex
from audiosearch.engine.indexes.exact import ExactIndex
from audiosearch.engine.indexes.landmarks_base import LandmarkEntry, LandmarkIndex
from audiosearch.engine.indexes.landmarks_exact import ExactLandmarkIndex
from audiosearch.engine.indexes.landmarks_milvus import MilvusLandmarkIndex
from audiosearch.engine.indexes.landmarks_segments import SegmentIndex
from audiosearch.engine.indexes.milvus import MilvusIndex
from audiosearch.engine.indexes.payloads import TrackPayload
from audiosearch.engine.tunes.representation import Tune
from audiosearch.engine.tunes.windows import tune_windows


@lru_cache(maxsize=1)
def get_index() -> VectorIndex:
    """The index at MILVUS_URI; "memory:" is the exact twin, for tests without servers."""
    if settings.MILVUS_URI == "memory:":
        return ExactIndex()
    return MilvusIndex(
        settings.MILVUS_URI, token=settings.MILVUS_TOKEN, prefix=settings.MILVUS_PREFIX
    )


@lru_cache(maxsize=1)
def get_landmark_index() -> LandmarkIndex:
    """The index of landmarks; the exact twin where that of the vectors is."""
    if settings.MILVUS_URI == "memory:":
        return ExactLandmarkIndex()
    if settings.LANDMARK_INDEX == "segments":
        return SegmentIndex(Path(settings.DATA_DIR) / "landmarks")
    return MilvusLandmarkIndex(
        settings.MILVUS_URI,
        _kept_landmarks,
        token=settings.MILVUS_TOKEN,
        prefix=f"{settings.MILVUS_PREFIX}_landmarks",
    )


def _kept_landmarks(track_ids: Sequence[int]) -> Mapping[int, Landmarks]:
    """Those of these tracks that are kept and can be read."""
    space = active_name(SpaceKind.LANDMARKS)
    found = {}
    for track_id in track_ids:
        with suppress(NotKept):
            found[track_id] = load_kept(space, track_id, Landmarks)
    return found


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


def index_entry(track: Track, found: Representation) -> Entry | LandmarkEntry | None:
    """What the index of its kind holds of a track's representation; None: it is in none."""
    if isinstance(found, Landmarks):
        return LandmarkEntry(track_payload(track), found)
    vectors = _vectors_of(found)
    if vectors is None or not len(vectors.embeddings):
        return None
    return Entry(track_payload(track), vectors.embeddings, vectors.span_pairs)


def indexed_size(found: Representation) -> int:
    """How many vectors or landmarks of a representation the index holds."""
    if isinstance(found, Landmarks):
        return len(found.frames)
    vectors = _vectors_of(found)
    return len(vectors.embeddings) if vectors else 0


def _vectors_of(found: Representation) -> Embeddings | None:
    if isinstance(found, Tune):
        return tune_windows(found)
    return found if isinstance(found, Embeddings) else None
