"""Deleting tracks: the rows go at once, files, vectors and index rows as soon as they can."""

from collections.abc import Iterable

from django.db import transaction

from apps.catalog import lifecycle
from apps.catalog.models import Removal, Track


def delete_tracks(track_ids: Iterable[int]) -> int:
    """Delete tracks with their vectors, id map entries and files; returns how many there were."""
    with transaction.atomic():
        tracks = Track.objects.filter(pk__in=list(track_ids))
        removals = [Removal(track_id=track.pk, file_name=str(track.file.name)) for track in tracks]
        Removal.objects.bulk_create(removals, ignore_conflicts=True)
        tracks.delete()
        ids = [removal.track_id for removal in removals]
        if ids:  # the caller's transaction, if there is one, may still be undone
            transaction.on_commit(lambda: lifecycle.tracks_removed(ids))
    return len(ids)
