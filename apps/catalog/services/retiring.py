"""Retiring copies of a recording: nobody finds them any more, and in time they go for good."""

from collections.abc import Collection
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from apps.catalog import lifecycle
from apps.catalog.models import Track
from apps.catalog.services.collections import one_for_each_audience
from apps.catalog.services.deleting import delete_tracks

KEPT_FOR = timedelta(days=30)


@transaction.atomic
def retire_tracks(*, track_ids: Collection[int], replaced_by: Track) -> None:
    """Let another track stand for these: they are in no answer, list or count until restored."""
    chosen = Track.objects.filter(pk__in=track_ids, retired_at=None)
    now = timezone.now()
    chosen.update(retired_at=now, replaced_by=replaced_by, updated_at=now)
    lifecycle.tracks_changed(track_ids)


@one_for_each_audience()
def restore_tracks(*, track_ids: Collection[int]) -> None:
    """Let retired tracks be found again. Raises Conflict where the same bytes were added since."""
    chosen = Track.objects.filter(pk__in=track_ids)
    chosen.update(retired_at=None, replaced_by=None, updated_at=timezone.now())
    lifecycle.tracks_changed(track_ids)


def delete_retired() -> int:
    """Delete for good what has been retired for longer than KEPT_FOR; returns how many."""
    with transaction.atomic():
        old = Track.objects.select_for_update().filter(retired_at__lt=timezone.now() - KEPT_FOR)
        return delete_tracks(list(old.values_list("pk", flat=True)))
