"""Changing tracks; the index and the id map follow at once, or as soon as they can."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from django.contrib.auth.models import Group
from django.db import transaction
from django.utils import timezone

from apps.access.audit import note
from apps.access.models import AuditAction
from apps.catalog import lifecycle
from apps.catalog.models import TEXT_FIELDS, Collection, Tag, Track
from apps.catalog.selectors import tell_private_collections
from apps.catalog.services.collections import audience_of, one_for_each_audience
from apps.catalog.services.tags import clean_tags, tags_named
from apps.catalog.services.words import write_words
from apps.catalog.words import nfc, sort_key
from apps.jobs.pieces import AT_ONCE, in_pieces
from audiosearch.engine.errors import Conflict

EDITABLE = ("title", "artist", "album", "description", "kind", "collection", "speaker")


@one_for_each_audience()
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
    columns = _columns(changes)
    for field, value in columns.items():
        setattr(track, field, value)
    track.refresh_from_db(fields=["edited_fields"])
    track.edited_fields = sorted({*track.edited_fields, *changes})
    # The changed columns only: a worker may be writing the others.
    written = [*columns, "edited_fields", "updated_at"]
    if "collection" in changes:
        track.audience = audience_of(track.collection, by=by)
        _note_audience([track.pk], track.audience, by)
        written.append("audience")
    track.save(update_fields=written)
    if set(TEXT_FIELDS) & set(changes):
        write_words(Track.objects.filter(pk=track.pk))
    if tags is not None:
        track.tags.set(tags_named(tags))
    lifecycle.tracks_changed([track.pk], payload=tags is not None or _filters_by(changes))
    return track


@one_for_each_audience()
def edit_tracks(
    *,
    track_ids: Iterable[int],
    changes: Mapping[str, Any] | None = None,
    add_tags: Iterable[str] = (),
    remove_tags: Iterable[str] = (),
    by: Any = None,
) -> int:
    """The same change to many tracks, in bulk; returns how many there were. Raises Conflict."""
    there = Track.objects.filter(pk__in=list(track_ids))
    ids = list(there.order_by("pk").values_list("pk", flat=True))
    changes, tagged = changes or {}, bool(add_tags or remove_tags)
    if changes or tagged:
        _set_fields(ids, changes, by)
    _add_tags(ids, tags_named(add_tags))
    removing = Tag.objects.filter(name__in=clean_tags(remove_tags))
    Track.tags.through.objects.filter(track_id__in=ids, tag__in=removing).delete()
    lifecycle.tracks_changed(ids, payload=tagged or _filters_by(changes))
    return len(ids)


@transaction.atomic
def let_searches_find(track_ids: Iterable[int]) -> None:
    """Make ordinary recordings of those that were brought to enrol a speaker."""
    brought = Track.objects.filter(pk__in=list(track_ids), for_enrolment=True)
    ids = list(brought.values_list("pk", flat=True))
    Track.objects.filter(pk__in=ids).update(for_enrolment=False, updated_at=timezone.now())
    lifecycle.tracks_changed(ids)


def _columns(changes: Mapping[str, Any]) -> dict[str, Any]:
    """The columns to write: texts in NFC, and with a title what it is sorted by."""
    for field in changes:
        if field not in EDITABLE:
            raise ValueError(f"{field} cannot be edited.")
    columns = {
        key: nfc(it, getattr(Track._meta.get_field(key), "max_length", None))
        if isinstance(it, str)
        else it
        for key, it in changes.items()
    }
    if "title" in columns:
        columns["sort_key"] = sort_key(columns["title"])
    return columns


def _filters_by(changes: Mapping[str, Any]) -> bool:
    return bool({"collection", "kind"} & set(changes))


def _set_fields(ids: list[int], changes: Mapping[str, Any], by: Any) -> None:
    """One query for each way in which the tracks were edited before."""
    columns = {**_columns(changes), "updated_at": timezone.now()}
    if "collection" in changes:
        columns["audience"] = audience_of(changes["collection"], by=by)
        _note_audience(ids, columns["audience"], by)
    for piece in in_pieces(ids):
        part = Track.objects.filter(pk__in=piece)
        groups: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for pk, edited in part.values_list("pk", "edited_fields"):
            groups[tuple(sorted({*edited, *changes}))].append(pk)
        for edited_fields, pks in groups.items():
            part.filter(pk__in=pks).update(**columns, edited_fields=list(edited_fields))
        if set(TEXT_FIELDS) & set(changes):
            write_words(part)


def _note_audience(ids: list[int], audience: Group | None, by: Any) -> None:
    """A line of the audit log for those tracks that are for other people from now on."""
    now = audience.name if audience else None
    for piece in in_pieces(ids):
        others = Track.objects.filter(pk__in=piece).exclude(audience=audience)
        if moved := list(others.order_by("pk").values_list("pk", flat=True)):
            note(AuditAction.AUDIENCE, by=by, tracks=moved, now=now)


def _add_tags(ids: list[int], tags: list[Tag]) -> None:
    through = Track.tags.through
    through.objects.bulk_create(
        [through(track_id=track_id, tag_id=tag.pk) for track_id in ids for tag in tags],
        batch_size=AT_ONCE,
        ignore_conflicts=True,
    )


@transaction.atomic
def delete_collection(collection: Collection) -> None:
    """Delete a collection and keep its tracks. Raises Conflict when that would lay them open."""
    if audience_of(collection) and collection.tracks.exists():
        raise Conflict(
            f"“{collection.name}” is private; move or delete its recordings first, or make it "
            "public. Copies that were taken out lately count as well."
        )
    track_ids = list(collection.tracks.values_list("pk", flat=True))
    edit_tracks(track_ids=track_ids, changes={"collection": None})
    collection.delete()
    transaction.on_commit(tell_private_collections)
