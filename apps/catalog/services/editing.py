"""Changing and deleting tracks; the index and the id map follow at once, or as soon as they can."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

from django.core.files.storage import default_storage
from django.db import IntegrityError, transaction
from django.db.models import Q

from apps.analysis.tasks import nudge
from apps.analysis.vector_index import get_index, index_fields
from apps.analysis.vectors import VectorsMissing, delete_vectors, load_vectors
from apps.catalog import id_map
from apps.catalog.models import (
    Collection,
    Listening,
    Removal,
    Space,
    SpaceState,
    State,
    Tag,
    Track,
)
from apps.catalog.selectors import collections_changed
from apps.catalog.services.adding import audience_of, clean_tags, tags_named
from audiosearch.engine.errors import Conflict, IndexUnavailable, SpaceMissing
from audiosearch.engine.indexes.base import Entry
from audiosearch.web.request_ids import current_request_id

log = logging.getLogger(__name__)
EDITABLE = ("title", "artist", "album", "description", "kind", "collection", "speaker")
BATCH = 100


@contextmanager
def _one_for_each_audience() -> Iterator[None]:
    """A transaction; Conflict when a recording comes to where its bytes are already."""
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        if "sha256" not in str(error):
            raise
        raise Conflict(
            "The same recording is in the catalogue already for those who see that collection; "
            "delete one of the two first."
        ) from error


@_one_for_each_audience()
def edit_track(
    *,
    track: Track,
    changes: Mapping[str, Any],
    tags: Iterable[str] | None = None,
    by: Any = None,
) -> Track:
    """Set fields of a track by hand; the file's own tags will not overwrite them again.

    `changes` has keys of EDITABLE; tags, when given, replace all of the track's tags.
    Raises Conflict when the new collection is for people who see the same bytes already.
    """
    for field, value in changes.items():
        if field not in EDITABLE:
            raise ValueError(f"{field} cannot be edited.")
        setattr(track, field, value)
    _save_edited(track, changes, by)
    if tags is not None:
        track.tags.set(tags_named(tags))
    _changed([track.pk])
    return track


@_one_for_each_audience()
def edit_tracks(
    *,
    track_ids: Iterable[int],
    changes: Mapping[str, Any] | None = None,
    add_tags: Iterable[str] = (),
    remove_tags: Iterable[str] = (),
    by: Any = None,
) -> int:
    """The same change to many tracks; returns how many there were. Raises Conflict."""
    tracks = list(Track.objects.filter(pk__in=list(track_ids)))
    adding = tags_named(add_tags)
    removing = list(Tag.objects.filter(name__in=clean_tags(remove_tags)))
    for track in tracks:
        for field, value in (changes or {}).items():
            setattr(track, field, value)
        _save_edited(track, changes or {}, by)
        track.tags.add(*adding)
        track.tags.remove(*removing)
    _changed([track.pk for track in tracks])
    return len(tracks)


def _save_edited(track: Track, changes: Mapping[str, Any], by: Any) -> None:
    """Write the changed columns only: a worker may be writing the others."""
    track.refresh_from_db(fields=["edited_fields"])
    track.edited_fields = sorted({*track.edited_fields, *changes})
    written = [*changes, "edited_fields", "updated_at"]
    if "collection" in changes:
        track.audience = audience_of(track.collection, by=by)
        written.append("audience")
    track.save(update_fields=written)


@_one_for_each_audience()
def save_collection(collection: Collection, changed: Iterable[str] = ()) -> None:
    """Write a new collection, or the changed fields of one; its tracks are for its audience.

    Raises Conflict when those people see the bytes of one of them already.
    """
    fields = list(changed) if collection.pk else None
    collection.save(update_fields=fields)
    if fields and "audience" in fields:
        collection.tracks.update(audience=collection.audience)
    track_ids = list(collection.tracks.values_list("pk", flat=True))
    id_map.forget(track_ids)
    transaction.on_commit(lambda: id_map.forget(track_ids))
    transaction.on_commit(collections_changed)


@transaction.atomic
def delete_collection(collection: Collection) -> None:
    """Delete a collection and keep its tracks. Raises Conflict when that would lay them open."""
    if audience_of(collection) and collection.tracks.exists():
        raise Conflict(
            f"“{collection.name}” is private; move or delete its recordings first, or make it "
            "public."
        )
    track_ids = list(collection.tracks.values_list("pk", flat=True))
    edit_tracks(track_ids=track_ids, changes={"collection": None})
    collection.delete()
    transaction.on_commit(collections_changed)


def _changed(track_ids: list[int]) -> None:
    id_map.forget(track_ids)
    Listening.objects.filter(track_id__in=track_ids).update(index_stale=True)
    transaction.on_commit(lambda: _follow(track_ids))


def _follow(track_ids: list[int]) -> None:
    id_map.forget(track_ids)
    try:
        sync_index(track_ids)
    except IndexUnavailable as error:
        log.warning("index not updated yet, will be: %s", error)


def sync_index(track_ids: Iterable[int] | None = None) -> int:
    """Bring changed fields of tracks (all that changed, by default) to the index; returns how many.

    Raises IndexUnavailable; what was not brought stays marked.
    """
    stale = Listening.objects.filter(index_stale=True, state=State.READY)
    if track_ids is not None:
        stale = stale.filter(track_id__in=list(track_ids))
    ids = list(stale.values_list("pk", flat=True))
    for begin in range(0, len(ids), BATCH):
        rows = Listening.objects.filter(pk__in=ids[begin : begin + BATCH])
        for space in Space.objects.filter(listenings__in=rows).distinct():
            _sync_rows(space, list(rows.filter(space=space).select_related("track")))
    return len(ids)


def _sync_rows(space: Space, rows: list[Listening]) -> None:
    seen = {row.pk: row.track.updated_at for row in rows}
    windows = []
    for row in rows:
        try:
            vectors = load_vectors(space.name, row.track_id)
        except VectorsMissing:
            relisten([row.track_id])
            continue
        spans = [(int(start), int(end)) for start, end in vectors.spans]
        windows.append(Entry(index_fields(row.track), vectors.embeddings, spans))
    try:
        get_index().upsert(space.name, windows)
    except SpaceMissing:
        return  # the next mend rebuilds the space with today's fields
    _forget_deleted(space, [row.track_id for row in rows])
    for pk, updated_at in seen.items():
        written = Listening.objects.filter(pk=pk)
        written.filter(track__updated_at=updated_at).update(index_stale=False)
        # Somebody else may have written newer fields, and cleared the mark, before our older ones.
        written.exclude(track__updated_at=updated_at).update(index_stale=True)


def _forget_deleted(space: Space, track_ids: list[int]) -> None:
    """Take out again what was written while its track was being deleted."""
    alive = set(Track.objects.filter(pk__in=track_ids).values_list("pk", flat=True))
    gone = [track_id for track_id in track_ids if track_id not in alive]
    if gone:
        get_index().delete_items(space.name, gone)


@transaction.atomic
def relisten(track_ids: Iterable[int]) -> int:
    """Queue tracks to be heard again from their files; returns how many tracks.

    Their vectors stay in the index until the new ones replace them.
    """
    ids = list(track_ids)
    rows = Listening.objects.filter(track_id__in=ids).exclude(
        Q(state=State.LISTENING) | Q(space__state=SpaceState.RETIRED)
    )
    for space, track_id in rows.values_list("space__name", "track_id"):
        transaction.on_commit(partial(delete_vectors, space, track_id))
    Listening.objects.filter(pk__in=list(rows.values_list("pk", flat=True))).update(
        state=State.QUEUED,
        reason="",
        attempts=0,
        claimed_by="",
        request_id=current_request_id(),
    )
    transaction.on_commit(nudge)
    return len(ids)


def delete_tracks(track_ids: Iterable[int]) -> int:
    """Delete tracks with their vectors, id map entries and files; returns how many there were."""
    with transaction.atomic():
        tracks = Track.objects.filter(pk__in=list(track_ids))
        removals = [Removal(track_id=track.pk, file_name=str(track.file.name)) for track in tracks]
        Removal.objects.bulk_create(removals, ignore_conflicts=True)
        tracks.delete()
    if not removals:
        return 0
    id_map.forget([removal.track_id for removal in removals])
    try:
        finish_removals([removal.track_id for removal in removals])
    except IndexUnavailable as error:
        log.warning("vectors of deleted tracks remain for now: %s", error)
    return len(removals)


def finish_removals(track_ids: Iterable[int] | None = None) -> int:
    """Remove what is left of deleted tracks (all, by default); returns how many were finished.

    Raises IndexUnavailable; what remains is tried again by the next mend.
    """
    removals = Removal.objects.all()
    if track_ids is not None:
        removals = removals.filter(pk__in=list(track_ids))
    pending = list(removals)
    if not pending:
        return 0
    spaces = list(Space.objects.values_list("name", flat=True))
    for removal in pending:
        default_storage.delete(removal.file_name)
        for space in spaces:
            delete_vectors(space, removal.track_id)
    ids = [removal.track_id for removal in pending]
    for space in spaces:
        try:
            get_index().delete_items(space, ids)
        except SpaceMissing:
            continue
    Removal.objects.filter(pk__in=ids).delete()
    return len(ids)
