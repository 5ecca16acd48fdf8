"""Who speaks when in a recording: asked for, worked out by a worker, and told with names.

The database knows the work, as it does for listening: a lost task or a dead worker loses nothing.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from apps.catalog.models import Speaker, State, Track
from apps.catalog.queries import model_turn, query_slot
from apps.voices.hearing import voice_encoder, voice_space
from apps.voices.models import Diarization, DiarizedVoice, VoiceAction
from apps.voices.services import consent_lasts, note, recognise
from apps.voices.tasks import nudge
from apps.voices.thresholds import point_in_force
from audiosearch.engine.audio import inspect, stream
from audiosearch.engine.diarization import Diarization as Found
from audiosearch.engine.diarization import Turn, diarize
from audiosearch.engine.encoders.base import FloatArray
from audiosearch.engine.errors import AudioError, EngineError, TooLong
from audiosearch.engine.speech import RATE

log = logging.getLogger(__name__)
MAX_CLIP_S = 600
LEASE = timedelta(seconds=90)
MAX_ATTEMPTS = 3


@dataclass(frozen=True)
class SpokenTurn:
    """A turn, and who speaks: `name` is the speaker's, or "unknown 1", "unknown 2" …"""

    start_ms: int
    end_ms: int
    voice: int
    name: str
    speaker: Speaker | None


def diarize_clip(*, path: Path, by: Any) -> list[SpokenTurn]:
    """Who speaks when in an audio file of at most ten minutes.

    Raises TooLong for more, AudioError when it cannot be read, and Busy when too many ask at once.
    """
    with query_slot():
        info = inspect(path, max_duration_ms=settings.MAX_DURATION_S * 1000, thorough=False)
        if info.duration_ms > MAX_CLIP_S * 1000:
            raise TooLong(
                f"It is longer than {MAX_CLIP_S // 60} minutes; add it to the catalogue and ask "
                "for its track instead."
            )
        with model_turn():
            found = _diarize(stream(path, RATE))
    owners = _owners(found)
    note(VoiceAction.DIARIZE, by, None, voices=len(owners))
    return _named(found.turns, owners)


def request_diarization(*, track: Track, by: Any) -> Diarization:
    """Let a worker find out who speaks when in a track, now or anew."""
    with transaction.atomic():
        row, created = Diarization.objects.get_or_create(track=track)
        idle = Diarization.objects.filter(pk=row.pk, state__in=[State.READY, State.FAILED])
        asked = idle.update(state=State.QUEUED, attempts=0, heard_ms=0, reason="")
        if created or asked:
            note(VoiceAction.DIARIZE, by, None, track=track.pk)
            transaction.on_commit(nudge)
    row.refresh_from_db()
    return row


def turns_of(row: Diarization) -> list[SpokenTurn]:
    """The turns of a track, with the names of speakers whose consent lasts."""
    owners = {
        voice.number: voice.speaker if voice.speaker and consent_lasts(voice.speaker) else None
        for voice in row.voices.select_related("speaker")
    }
    return _named([Turn(*turn) for turn in row.turns], owners)


def work_off() -> int:
    """Work out all that is queued, oldest first; returns how many tracks were done."""
    done = 0
    while row := _claim():
        _work_on(row)
        done += 1
    return done


def requeue_abandoned() -> bool:
    """Give back the work of workers that died; is any work waiting?"""
    silent = Diarization.objects.filter(
        state=State.LISTENING, heartbeat_at__lt=timezone.now() - LEASE
    )
    silent.filter(attempts__gte=MAX_ATTEMPTS).update(
        state=State.FAILED, reason=f"It broke off {MAX_ATTEMPTS} times; the worker's log says why."
    )
    silent.update(state=State.QUEUED)
    return Diarization.objects.filter(state=State.QUEUED).exists()


def _claim() -> Diarization | None:
    queued = Diarization.objects.filter(state=State.QUEUED)
    while row := queued.select_related("track").order_by("asked_at").first():
        taken = queued.filter(pk=row.pk).update(
            state=State.LISTENING, heartbeat_at=timezone.now(), attempts=F("attempts") + 1
        )
        if taken:
            return row
    return None


def _work_on(row: Diarization) -> None:
    mine = Diarization.objects.filter(pk=row.pk, state=State.LISTENING)

    def heard(ms: int) -> None:
        mine.update(heartbeat_at=timezone.now(), heard_ms=ms)

    try:
        path = Path(default_storage.path(str(row.track.file.name)))
        found = _diarize(stream(path, RATE), heard)
        owners = _owners(found)
    except AudioError as error:
        mine.update(state=State.FAILED, reason=str(error)[:500])
    except FileNotFoundError:
        mine.update(state=State.FAILED, reason="Its file is gone.")
    except EngineError as error:  # the model or the index is away: the next sweep tries again
        log.warning("who speaks in track %s waits: %s", row.track_id, error)
        mine.update(reason=str(error)[:500], attempts=F("attempts") - 1)
    else:
        _keep(row, found, owners)


@transaction.atomic
def _keep(row: Diarization, found: Found, owners: dict[int, Speaker | None]) -> None:
    kept = Diarization.objects.filter(pk=row.pk, state=State.LISTENING).update(
        state=State.READY,
        reason="",
        turns=[[turn.start_ms, turn.end_ms, turn.voice] for turn in found.turns],
    )
    if not kept:  # deleted meanwhile
        return
    row.voices.all().delete()
    DiarizedVoice.objects.bulk_create(
        DiarizedVoice(diarization=row, number=number, speech_ms=speech_ms, speaker=owners[number])
        for number, speech_ms in enumerate(found.speech_ms)
    )


def _diarize(chunks: Iterable[FloatArray], heard: Callable[[int], None] = lambda ms: None) -> Found:
    likeness = point_in_force(voice_space()).likeness
    return diarize(chunks, voice_encoder(), likeness, heard)


def _owners(found: Found) -> dict[int, Speaker | None]:
    """Whose each voice is, by the threshold that identification goes by."""
    return {
        number: recognise(voice, speech_ms).speaker
        for number, (voice, speech_ms) in enumerate(zip(found.voices, found.speech_ms, strict=True))
    }


def _named(turns: list[Turn], owners: dict[int, Speaker | None]) -> list[SpokenTurn]:
    strangers = [number for number, speaker in owners.items() if speaker is None]
    names = {
        number: speaker.name if speaker else f"unknown {strangers.index(number) + 1}"
        for number, speaker in owners.items()
    }
    return [
        SpokenTurn(turn.start_ms, turn.end_ms, turn.voice, names[turn.voice], owners[turn.voice])
        for turn in turns
    ]
