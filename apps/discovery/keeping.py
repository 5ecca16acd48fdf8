"""Deciding of duplicates: keep one copy for the others, take that back, or say they are none."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from apps.catalog import lifecycle
from apps.catalog.models import Track
from apps.catalog.permissions import may_edit
from apps.catalog.selectors import retired_tracks, visible_tracks
from apps.catalog.services.editing import edit_tracks
from apps.catalog.services.retiring import KEPT_FOR, restore_tracks, retire_tracks
from apps.discovery.models import DuplicatePair, KeptCopy, SearchedTrack
from audiosearch.engine.errors import Conflict

FILLED = ("artist", "album", "description", "speaker", "collection")
"""Fields that the kept copy takes over where it has none."""


@transaction.atomic
def keep_copy(*, kept: Track, others: Sequence[Track], by: Any) -> KeptCopy:
    """Move tags, lists and links of other copies to the kept one, and retire them for 30 days.

    Nothing moves to people who could not see it before. Raises Conflict when nothing is to be
    retired, or when some who see a copy may not know of the one that is kept.
    """
    if not others or kept.pk in {track.pk for track in others}:
        raise Conflict("Choose one copy to keep, and at least one other that it stands for.")
    for track in others:
        if kept.audience_id not in (None, track.audience_id):
            raise Conflict(
                f"Not everybody who sees “{track.title}” may see “{kept.title}”; keep the other "
                "one, or move both to one collection first."
            )
    # What is of fewer people stays with the copy that is retired.
    alike = [track for track in others if track.audience_id == kept.audience_id]
    moved = {
        "tags": _move_tags(kept, alike),
        "fields": _fill_fields(kept, alike, by),
        "links": {str(track.pk): lifecycle.move_links(track.pk, kept.pk) for track in alike},
    }
    ids = [track.pk for track in others]
    retire_tracks(track_ids=ids, replaced_by=kept)
    kept_by = by if by is not None and by.is_authenticated else None
    return KeptCopy.objects.create(track=kept, retired_ids=ids, moved=moved, kept_by=kept_by)


def _move_tags(kept: Track, others: Iterable[Track]) -> list[str]:
    own = set(kept.tags.values_list("name", flat=True))
    names = {name for track in others for name in track.tags.values_list("name", flat=True)} - own
    if names:
        edit_tracks(track_ids=[kept.pk], add_tags=sorted(names))
    return sorted(names)


def _fill_fields(kept: Track, others: Sequence[Track], by: Any) -> dict[str, Any]:
    """Returns what each field is now, with rows by their ids."""
    changes: dict[str, Any] = {}
    for name in FILLED:
        if not getattr(kept, name):
            values = [value for track in others if (value := getattr(track, name))]
            if values:
                changes[name] = values[0]
    if changes:
        edit_tracks(track_ids=[kept.pk], changes=changes, by=by)
    return {name: getattr(value, "pk", value) for name, value in changes.items()}


@transaction.atomic
def undo_keeping(*, kept_copy: KeptCopy, by: Any) -> None:
    """Take back what `keep_copy` did, as far as nobody changed it since.

    Raises Conflict when it was undone already, when the copies are gone for good, or when the same
    bytes were added again.
    """
    same = KeptCopy.objects.filter(pk=kept_copy.pk, undone_at=None)
    if same.update(undone_at=timezone.now()) != 1:
        raise Conflict("That was undone already.")
    ids = list(Track.objects.filter(pk__in=kept_copy.retired_ids).values_list("pk", flat=True))
    if not ids:
        raise Conflict("The other copies have been deleted; this can be undone no more.")
    kept, moved = kept_copy.track, kept_copy.moved
    if kept is not None:
        for track_id, links in moved["links"].items():
            if int(track_id) in ids:
                lifecycle.move_links(kept.pk, int(track_id), only=links)
        _empty_fields(kept, moved["fields"], by)
        edit_tracks(track_ids=[kept.pk], remove_tags=moved["tags"])
    restore_tracks(track_ids=ids)
    SearchedTrack.objects.filter(track__in=ids).delete()  # others came meanwhile


def _empty_fields(kept: Track, filled: dict[str, Any], by: Any) -> None:
    changes: dict[str, Any] = {}
    for name, value in filled.items():
        row = name in ("speaker", "collection")
        if getattr(kept, f"{name}_id" if row else name) == value:
            changes[name] = None if row else ""
    if changes:
        edit_tracks(track_ids=[kept.pk], changes=changes, by=by)


def dismiss_pairs(*, track_ids: Iterable[int], by: Any) -> int:
    """Remember for ever that these tracks are no duplicates; returns how many pairs."""
    ids = list(track_ids)
    pairs = DuplicatePair.objects.filter(Q(first__in=ids) & Q(second__in=ids), dismissed_at=None)
    dismissed_by = by if by is not None and by.is_authenticated else None
    return pairs.update(dismissed_at=timezone.now(), dismissed_by=dismissed_by)


def undoable(user: Any) -> list[KeptCopy]:
    """What this user may still undo, latest first: they may edit all of its tracks."""
    lately = KeptCopy.objects.filter(undone_at=None, kept_at__gt=timezone.now() - KEPT_FOR)
    listed = list(lately.select_related("track"))
    gone = retired_tracks(user).in_bulk({pk for kept in listed for pk in kept.retired_ids})
    seen = visible_tracks(user).in_bulk({kept.track_id for kept in listed} - {None})
    found = []
    for kept in listed:
        tracks = [gone.get(pk) for pk in kept.retired_ids]
        tracks += [seen.get(kept.track_id)] if kept.track_id else []
        if all(track is not None and may_edit(user, track) for track in tracks):
            found.append(kept)
    return found


def retired_of(kept_copy: KeptCopy) -> QuerySet[Track]:
    """The copies that are retired for one that is kept."""
    return Track.objects.filter(pk__in=kept_copy.retired_ids, retired_at__isnull=False)
