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
from apps.voices.models import Enrolment
from audiosearch.engine.errors import Conflict

FILLED = ("artist", "album", "description", "collection")
OF_VOICES = ("speaker",)
"""Fields that the kept copy takes over where it has none; those of voices as enrolments move."""


@transaction.atomic
def keep_copy(*, kept_id: int, other_ids: Sequence[int], by: Any, voices: bool) -> KeptCopy:
    """Move tags, lists and links of other copies to the kept one, and retire them for 30 days.

    Nothing moves to people who could not see it before, and what voices are known by only where
    `voices` says that `by` may decide of that. Raises Conflict when nothing is to be retired, when
    some who see a copy may not know of the one that is kept, when an enrolment would be left
    behind, or when somebody else decided about one of them just now.
    """
    if not other_ids or kept_id in other_ids:
        raise Conflict("Choose one copy to keep, and at least one other that it stands for.")
    kept, others = _claimed(kept_id, other_ids)
    # What is of fewer people stays with the copy that is retired.
    alike = [track for track in others if track.audience_id == kept.audience_id]
    _refuse_losses(kept, others, [track for track in others if track not in alike], voices)
    links = {
        str(track.pk): lifecycle.move_links(track.pk, kept.pk, by=by) for track in alike if voices
    }
    filled = (*FILLED, *OF_VOICES) if voices else FILLED
    moved = {
        "tags": _move_tags(kept, alike),
        "fields": _fill_fields(kept, alike, filled, by),
        "links": links,
    }
    retire_tracks(track_ids=other_ids, replaced_by=kept)
    kept_by = by if by is not None and by.is_authenticated else None
    return KeptCopy.objects.create(
        track=kept, retired_ids=list(other_ids), moved=moved, kept_by=kept_by
    )


def _claimed(kept_id: int, other_ids: Sequence[int]) -> tuple[Track, list[Track]]:
    """The tracks as they are now, which nobody else changes before this is done."""
    there = Track.objects.select_for_update().filter(retired_at=None).order_by("pk")
    tracks = {track.pk: track for track in there.filter(pk__in=[kept_id, *other_ids])}
    if not {kept_id, *other_ids} <= set(tracks):
        raise Conflict("Somebody has just decided about one of these; look at them again.")
    return tracks[kept_id], [tracks[pk] for pk in other_ids]


def _refuse_losses(
    kept: Track, others: Sequence[Track], fewer: Sequence[Track], voices: bool
) -> None:
    for track in others:
        if kept.audience_id not in (None, track.audience_id):
            raise Conflict(
                f"Not everybody who sees “{track.title}” may see “{kept.title}”; keep the other "
                "one, or move both to one collection first."
            )
    if voices and Enrolment.objects.filter(track__in=fewer).exists():
        raise Conflict(
            "A speaker is known by a copy that fewer people may see; keep that one, or enrol the "
            "speaker by another recording first."
        )


def _move_tags(kept: Track, others: Iterable[Track]) -> list[str]:
    own = set(kept.tags.values_list("name", flat=True))
    names = {name for track in others for name in track.tags.values_list("name", flat=True)} - own
    if names:
        edit_tracks(track_ids=[kept.pk], add_tags=sorted(names))
    return sorted(names)


def _fill_fields(
    kept: Track, others: Sequence[Track], names: Iterable[str], by: Any
) -> dict[str, Any]:
    """Returns what each field is now, with rows by their ids."""
    changes: dict[str, Any] = {}
    for name in names:
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
        raise Conflict("That was undone already, or the other copies are gone for good.")
    ids = list(Track.objects.filter(pk__in=kept_copy.retired_ids).values_list("pk", flat=True))
    kept, moved = kept_copy.track, kept_copy.moved
    if kept is not None:
        for track_id, links in moved["links"].items():
            if int(track_id) in ids:
                lifecycle.move_links(kept.pk, int(track_id), by=by, only=links)
        _empty_fields(kept, moved["fields"], by)
        edit_tracks(track_ids=[kept.pk], remove_tags=moved["tags"])
    restore_tracks(track_ids=ids)
    SearchedTrack.objects.filter(track__in=ids).delete()  # others came meanwhile


def _empty_fields(kept: Track, filled: dict[str, Any], by: Any) -> None:
    """Where they are as they were filled; but nothing is laid open by leaving a collection."""
    changes: dict[str, Any] = {}
    for name, value in filled.items():
        if name == "collection" and kept.audience_id is not None:
            continue
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
    ids = {pk for kept in listed for pk in (*kept.retired_ids, kept.track_id) if pk}
    there = set(Track.objects.filter(pk__in=ids).values_list("pk", flat=True))
    # The kept one may have been retired for a third.
    seen = retired_tracks(user).in_bulk(ids) | visible_tracks(user).in_bulk(ids)
    found = []
    for kept in listed:
        left = [pk for pk in kept.retired_ids if pk in there]
        asked = [*left, *([kept.track_id] if kept.track_id else [])]
        if left and all(pk in seen and may_edit(user, seen[pk]) for pk in asked):
            found.append(kept)
    return found


def forget_kept() -> None:
    """Forget what can be undone no more, with the texts that were moved."""
    old = Q(kept_at__lt=timezone.now() - KEPT_FOR) | Q(undone_at__isnull=False)
    KeptCopy.objects.filter(old).delete()
    retired = dict(KeptCopy.objects.values_list("pk", "retired_ids"))
    ids = {pk for each in retired.values() for pk in each}
    there = set(Track.objects.filter(pk__in=ids).values_list("pk", flat=True))
    gone = [pk for pk, each in retired.items() if not there.intersection(each)]
    KeptCopy.objects.filter(pk__in=gone).delete()


def retired_of(kept_copy: KeptCopy) -> QuerySet[Track]:
    """The copies that are retired for one that is kept."""
    return Track.objects.filter(pk__in=kept_copy.retired_ids, retired_at__isnull=False)
