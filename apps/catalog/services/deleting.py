"""Deleting tracks: the rows go at once, files, vectors and index rows as soon as they can."""

import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.db.models import Model

from apps.catalog import lifecycle
from apps.catalog.models import Removal, Track
from apps.jobs.pieces import in_pieces


def delete_tracks(track_ids: Iterable[int]) -> int:
    """Delete tracks with their vectors, id map entries and files; returns how many there were."""
    with transaction.atomic():
        tracks = Track.objects.filter(pk__in=list(track_ids))
        removals = [Removal(track_id=track.pk, file_name=str(track.file.name)) for track in tracks]
        Removal.objects.bulk_create(removals, ignore_conflicts=True)
        tracks.delete()
        ids = [removal.track_id for removal in removals]
        forget_in_console(Track, ids)
        if ids:  # the caller's transaction, if there is one, may still be undone
            transaction.on_commit(lambda: lifecycle.tracks_removed(ids))
    return len(ids)


def forget_in_console(kind: type[Model], pks: Iterable[int]) -> None:
    """Let the admin console's log know rows that are erased by their numbers only."""
    logged = LogEntry.objects.filter(content_type=ContentType.objects.get_for_model(kind))
    for piece in in_pieces([str(pk) for pk in pks]):
        logged.filter(object_id__in=piece).update(object_repr="erased")


def sweep_uploads() -> int:
    """Remove uploads that a killed process left more than a day ago; returns how many."""
    swept = 0
    for path in Path(settings.FILE_UPLOAD_TEMP_DIR).iterdir():
        with suppress(FileNotFoundError):
            if path.is_file() and path.stat().st_mtime < time.time() - 24 * 3600:
                path.unlink()
                swept += 1
    return swept
