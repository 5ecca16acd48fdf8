"""Tracks whose recording is gone or damaged: set aside, and found no more until it is back."""

from collections.abc import Collection
from datetime import datetime, timedelta
from pathlib import Path

from django.core.files.storage import default_storage
from django.db.models import Q, QuerySet
from django.utils import timezone

from apps.analysis.holdings import track_spaces
from apps.analysis.models import FILE_GONE, SpaceState, TrackAnalysis
from apps.analysis.space_indexes import index_of
from apps.catalog.models import Track
from apps.catalog.playback import forget_copies
from apps.catalog.recordings import FILE_DAMAGED, FileDamaged, intact_recording
from apps.jobs.models import State
from audiosearch.engine.errors import SpaceMissing

REASONS = (FILE_GONE, FILE_DAMAGED)
IS_AWAY = Q(state=State.FAILED, reason__in=REASONS)
BEHIND = timedelta(milliseconds=10)
"""The clock of a file system may be so much behind ours."""


def set_tracks_aside(track_ids: Collection[int], reason: str) -> None:
    """Fail the analyses of tracks for FILE_GONE or FILE_DAMAGED, and find them no more.

    Raises IndexUnavailable.
    """
    rows = TrackAnalysis.objects.filter(track_id__in=track_ids).exclude(state=State.RUNNING)
    rows.exclude(space__state=SpaceState.RETIRED).update(
        state=State.FAILED, reason=reason, leased_by="", finished_at=timezone.now()
    )
    for space in track_spaces():
        try:
            index_of(space).delete(track_ids)
        except SpaceMissing:
            continue


def tracks_back() -> list[int]:
    """Those of them whose file is there again; of a damaged one, that it is another file now."""
    found = set()
    for row in _away().select_related("track"):
        name = str(row.track.file.name)
        there = _written_since(name, row.finished_at) if row.reason == FILE_DAMAGED else None
        if there or (there is None and default_storage.exists(name)):
            found.add(row.track_id)
    return sorted(found)


def take_tracks_back(track_ids: Collection[int]) -> None:
    """Queue their analyses again; those with other bytes than were added stay set aside."""
    rows = _away().filter(track_id__in=track_ids)
    damaged = rows.filter(reason=FILE_DAMAGED).values("track")
    still = set()
    for track in Track.objects.filter(pk__in=damaged):
        try:
            intact_recording(track)
        except FileDamaged:
            rows.filter(track=track).update(reason=FILE_DAMAGED, finished_at=timezone.now())
            still.add(track.pk)
        except OSError:  # gone again, or the storage is away
            still.add(track.pk)
        else:
            forget_copies(str(track.file.name))  # one may have been made of what was damaged
    back = rows.exclude(track__in=still)
    back.update(state=State.QUEUED, reason="", attempts=0)


def is_away(row: TrackAnalysis) -> bool:
    """Whether this analysis was set aside for the file of its track."""
    return row.state == State.FAILED and row.reason in REASONS


def _away() -> QuerySet[TrackAnalysis]:
    return TrackAnalysis.objects.filter(IS_AWAY).exclude(space__state=SpaceState.RETIRED)


def _written_since(name: str, then: datetime | None) -> bool:
    """By the time that nobody sets: a file from a backup may bring the time of its content."""
    try:
        changed = Path(default_storage.path(name)).stat().st_ctime
    except FileNotFoundError:
        return False
    return then is None or changed > (then - BEHIND).timestamp()
