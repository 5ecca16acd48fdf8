"""Who speaks when in a recording: asked for, worked out by a worker, and told with names."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.files.storage import default_storage
from django.db import transaction

from apps.analysis.clips import decode_clip
from apps.analysis.turns import model_turn, query_slot
from apps.catalog.models import Track
from apps.jobs.leases import ALL, heartbeat, settle, work_off
from apps.jobs.models import State
from apps.jobs.queue import VOICES, enqueue
from apps.voices.audit import note
from apps.voices.consent import consent_lasts
from apps.voices.embedding import voice_encoder, voice_space
from apps.voices.models import Diarization, DiarizedVoice, Speaker, VoiceAction
from apps.voices.recognition import recognise
from apps.voices.thresholds import point_in_force
from audiosearch.engine.arrays import FloatArray
from audiosearch.engine.audio.sandbox import stream
from audiosearch.engine.errors import AudioError
from audiosearch.engine.voice.diarization import Diarization as Found
from audiosearch.engine.voice.diarization import Turn, diarize
from audiosearch.engine.voice.speech import RATE
from audiosearch.web.request_ids import current_request_id

MAX_CLIP_S = 600
TOO_LONG = (
    f"It is longer than {MAX_CLIP_S // 60} minutes; add it to the catalogue and ask for its track "
    "instead."
)


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
        samples = decode_clip(path, RATE, most_s=MAX_CLIP_S, too_long=TOO_LONG)
        with model_turn():
            found = _diarize([samples])
    owners = _owners(found)
    note(VoiceAction.DIARIZE, by, None, voices=len(owners))
    return _named(found.turns, owners)


def request_diarization(*, track: Track, by: Any) -> Diarization:
    """Let a worker find out who speaks when in a track, now or anew."""
    with transaction.atomic():
        row, created = Diarization.objects.get_or_create(
            track=track, defaults={"request_id": current_request_id()}
        )
        idle = Diarization.objects.filter(pk=row.pk, state__in=[State.READY, State.FAILED])
        asked = idle.update(
            state=State.QUEUED,
            attempts=0,
            heard_ms=0,
            reason="",
            request_id=current_request_id(),
        )
        if created or asked:
            note(VoiceAction.DIARIZE, by, None, track=track.pk)
            transaction.on_commit(lambda: enqueue(VOICES))
    row.refresh_from_db()
    return row


def turns_of(row: Diarization) -> list[SpokenTurn]:
    """The turns of a track, with the names of speakers whose consent lasts."""
    owners = {
        voice.number: voice.speaker if voice.speaker and consent_lasts(voice.speaker) else None
        for voice in row.voices.select_related("speaker")
    }
    return _named([Turn(*turn) for turn in row.turns], owners)


def diarize_queued(most: int = ALL) -> int:
    """Diarize tracks that wait for it; returns how many."""
    return work_off(Diarization, _work_on, most)


def _work_on(row: Diarization) -> None:
    path = Path(default_storage.path(str(row.track.file.name)))
    if not path.exists():
        raise AudioError("Its file is gone.")
    sound = stream(path, RATE, budget=settings.DECODE_BUDGET)
    found = _diarize(sound, lambda ms: heartbeat([row], heard_ms=ms))
    owners = _owners(found)
    turns = [[turn.start_ms, turn.end_ms, turn.voice] for turn in found.turns]
    with transaction.atomic():
        if not settle(row, State.READY, turns=turns):
            return
        row.voices.all().delete()
        still = Speaker.objects.in_bulk([who.pk for who in owners.values() if who])
        of = {number: still.get(who.pk) for number, who in owners.items() if who}
        DiarizedVoice.objects.bulk_create(
            DiarizedVoice(
                diarization=row,
                number=number,
                speech_ms=speech_ms,
                speaker=of.get(number),
            )
            for number, speech_ms in enumerate(found.speech_ms)
        )


def _diarize(
    chunks: Iterable[FloatArray], heard: Callable[[int], object] = lambda ms: None
) -> Found:
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
        SpokenTurn(
            start_ms=turn.start_ms,
            end_ms=turn.end_ms,
            voice=turn.voice,
            name=names.get(turn.voice, "unknown"),
            speaker=owners.get(turn.voice),
        )
        for turn in turns
    ]
