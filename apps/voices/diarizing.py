"""Who speaks when in a recording: asked for, worked out by a worker, and told with names."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import QuerySet

from apps.access.permissions import may_curate
from apps.analysis.clips import decode_clip
from apps.analysis.turns import model_turn, query_slot
from apps.catalog.models import Track
from apps.catalog.recordings import intact_recording
from apps.catalog.selectors import visible_speakers
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


@dataclass(frozen=True)
class Audience:
    """All who may know of a track, as one asker: knows of what each of them may know of."""

    group_id: int | None
    is_authenticated = is_active = True
    is_staff = False

    @property
    def groups(self) -> QuerySet[Group]:
        return Group.objects.filter(pk=self.group_id or 0)


def diarize_clip(*, path: Path, by: Any) -> list[SpokenTurn]:
    """Who speaks when in an audio file of at most ten minutes.

    Raises TooLong for more, AudioError when it cannot be read, and Busy when too many ask at once.
    """
    with query_slot():
        samples = decode_clip(path, RATE, most_s=MAX_CLIP_S, too_long=TOO_LONG)
        with model_turn():
            found = _diarize([samples])
    owners = _owners(found, by)
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


def turns_of(row: Diarization, by: Any) -> list[SpokenTurn]:
    """The turns of a track, with the names of speakers whose consent lasts.

    Curators are told who it is by all enrolments; others, by those that everybody who may know of
    the track might know of, when it was worked out.
    """
    every = by is None or may_curate(by)
    known = visible_speakers(by).in_bulk(
        row.voices.values_list("speaker" if every else "open_speaker", flat=True)
    )
    owners = {}
    for voice in row.voices.all():
        who = known.get(voice.speaker_id if every else voice.open_speaker_id)
        owners[voice.number] = who if who and consent_lasts(who) else None
    return _named([Turn(*turn) for turn in row.turns], owners)


def diarize_queued(most: int = ALL) -> int:
    """Diarize tracks that wait for it; returns how many."""
    return work_off(Diarization, _work_on, most)


def _work_on(row: Diarization) -> None:
    try:
        path = intact_recording(row.track)
    except FileNotFoundError as error:
        raise AudioError("Its file is gone.") from error
    sound = stream(path, RATE, budget=settings.DECODE_BUDGET)
    found = _diarize(sound, lambda ms: heartbeat([row], heard_ms=ms))
    owners, open_owners = _owners(found, None), _owners(found, Audience(row.track.audience_id))
    turns = [[turn.start_ms, turn.end_ms, turn.voice] for turn in found.turns]
    with transaction.atomic():
        if not settle(row, State.READY, turns=turns):
            return
        row.voices.all().delete()
        named = [*owners.values(), *open_owners.values()]
        still = set(Speaker.objects.in_bulk([who.pk for who in named if who]))
        speaker_id, open_id = (
            {number: who.pk for number, who in each.items() if who and who.pk in still}
            for each in (owners, open_owners)
        )
        DiarizedVoice.objects.bulk_create(
            DiarizedVoice(
                diarization=row,
                number=number,
                speech_ms=speech_ms,
                speaker_id=speaker_id.get(number),
                open_speaker_id=open_id.get(number),
            )
            for number, speech_ms in enumerate(found.speech_ms)
        )


def _diarize(
    chunks: Iterable[FloatArray], heard: Callable[[int], object] = lambda ms: None
) -> Found:
    likeness = point_in_force(voice_space()).likeness
    return diarize(chunks, voice_encoder(), likeness, heard)


def _owners(found: Found, by: Any) -> dict[int, Speaker | None]:
    """Whose each voice is for `by`, by the threshold that identification goes by."""
    return {
        number: recognise(voice, speech_ms, by).speaker
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
