"""Bit rot: all that is kept is read, and compared with the SHA-256 of when it was written.

Of recordings the database has it, of what was found in them it is kept behind the bytes.
"""

import io
from collections.abc import Callable, Iterator

from django.core.files.storage import default_storage
from django.db.models import QuerySet

from apps.analysis.away import is_away
from apps.analysis.drift import (
    FILE_BACK,
    FILE_MISSING,
    RECORDING_DAMAGED,
    VECTORS_DAMAGED,
    VECTORS_MISSING,
    VOICE_DAMAGED,
    Drift,
    StorageUnavailable,
)
from apps.analysis.holdings import HOLDINGS, holdings_of
from apps.analysis.models import Space, SpaceState, TrackAnalysis
from apps.analysis.representations import NotKept, kept_name, verify_kept
from apps.catalog.models import Track
from apps.catalog.playback import forget_damaged_copy
from apps.catalog.recordings import FileDamaged, intact_recording
from apps.catalog.services.adding import FOLDER
from apps.jobs.models import State
from audiosearch.engine.analyzers.base import Waveform
from audiosearch.engine.analyzers.registry import analyzer_class
from audiosearch.engine.digests import Damaged, has_digest, with_digest
from audiosearch.engine.errors import ModelUnavailable

Told = Callable[[Track], None]
"""Called with each track after it was read."""


def verify(tracks: QuerySet[Track], told: Told = lambda track: None) -> Iterator[Drift]:
    """Read all that is kept of these tracks; what is gone, or not as it was written.

    What is set aside already is told, too. Nothing is mended, as `drift.repair` does that: but what
    version 0.1 kept has no digest, and gets one, and a damaged copy for browsers is deleted.
    Raises StorageUnavailable.
    """
    for pk in list(tracks.values_list("pk", flat=True)):
        track, found = _look_at(pk)
        if found:  # what a second look does not find was replaced or deleted while it was read
            track, again = _look_at(pk)
            yield from (drift for drift in found if drift in again)
        if track:
            told(track)


def _look_at(pk: int) -> tuple[Track | None, list[Drift]]:
    track = Track.objects.filter(pk=pk).first()
    try:
        return track, list(_damage(track)) if track else []
    except OSError as error:
        raise StorageUnavailable(f"The storage cannot be read: {error.strerror}.") from error


def _damage(track: Track) -> Iterator[Drift]:
    """Of one whose recording is not there as it was added, nothing else: it is all set aside."""
    name = str(track.file.name)
    analyses = track.analyses.exclude(space__state=SpaceState.RETIRED).select_related("space")
    try:
        intact_recording(track)
    except FileNotFoundError:
        if not default_storage.exists(FOLDER):
            raise
        yield Drift(FILE_MISSING, f"The file of track {track.pk} is gone: {name}", track.pk)
        return
    except FileDamaged:
        message = f"The file of track {track.pk} is damaged: {name}"
        yield Drift(RECORDING_DAMAGED, message, track.pk)
        return
    forget_damaged_copy(name)
    if any(is_away(row) for row in analyses):
        yield Drift(FILE_BACK, f"The file of track {track.pk} is there again.", track.pk)
    for row in analyses:
        if row.state == State.READY:
            yield from _damage_of_analysis(track, row)
    for space in Space.objects.filter(kind__in=HOLDINGS).exclude(state=SpaceState.RETIRED):
        holdings = holdings_of(space)
        for item_id in holdings.damaged(space, [track.pk]) if holdings else ():
            message = f"A vector made of track {track.pk} for {space} is damaged."
            yield Drift(VOICE_DAMAGED, message, item_id, space.name)


def _damage_of_analysis(track: Track, row: TrackAnalysis) -> Iterator[Drift]:
    space = row.space.name
    try:
        kind = analyzer_class(row.space.analyzer).representation
    except ModelUnavailable:  # of an analyzer that is gone nobody reads anything
        return
    name = kept_name(space, track.pk) if kind.kept else "in the database"
    try:
        if kind.kept:
            verify_kept(space, track.pk, kind)
        elif issubclass(kind, Waveform):
            _verify_peaks(track)
    except FileNotFoundError:
        message = f"What was found in track {track.pk} for {space} is gone: {name}"
        yield Drift(VECTORS_MISSING, message, track.pk, space, name)
    except (NotKept, Damaged):
        message = f"What was found in track {track.pk} for {space} is damaged: {name}"
        yield Drift(VECTORS_DAMAGED, message, track.pk, space)


def _verify_peaks(track: Track) -> None:
    """Raises Damaged; those without a digest get one."""
    peaks = bytes(track.peaks)
    if not has_digest(io.BytesIO(peaks)):
        same = Track.objects.filter(pk=track.pk, peaks=peaks)
        same.update(peaks=with_digest(peaks))
