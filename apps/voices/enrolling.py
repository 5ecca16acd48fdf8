"""Let the catalogue know a speaker by a recording."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from apps.analysis.models import Space
from apps.analysis.spaces import ensure_spaces
from apps.catalog.models import Collection, Kind, Track
from apps.catalog.recordings import intact_recording
from apps.catalog.services.adding import add_track
from apps.catalog.services.editing import edit_track
from apps.voices.audit import note
from apps.voices.consent import consent_lasts_in, refuse_without_consent
from apps.voices.embedding import Voice, embed_voice, refuse_poor, voice_space
from apps.voices.holdings import LOST, sync_soon
from apps.voices.models import Enrolment, Speaker, VoiceAction
from apps.voices.recognition import Candidate, candidates_among
from apps.voices.thresholds import point_in_force
from audiosearch.engine.digests import with_digest
from audiosearch.engine.errors import AudioError, IndexUnavailable, ModelUnavailable

log = logging.getLogger(__name__)


class OtherSpeaker(AudioError):
    """The recording is enrolled for somebody else."""

    code = "other_speaker"


@dataclass(frozen=True)
class Enrolled:
    """The enrolment, and other speakers whose voice this could be as well."""

    enrolment: Enrolment
    sounds_like: list[Candidate]


def usual_collection(speaker: Speaker) -> Collection | None:
    """Where one more recording goes unless somebody chooses: nobody further learns of the speaker.

    None, for everybody, unless all recordings that they are enrolled by are private.
    """
    enrolled = Track.objects.filter(enrolments__speaker=speaker).select_related("collection")
    newest = enrolled.order_by("-enrolments__enrolled_at", "-pk").first()
    if newest is None or enrolled.filter(audience=None).exists():
        return None
    return newest.collection


def enrol(
    *, speaker: Speaker, source: Path, name: str, by: Any, collection: Collection | None = None
) -> Enrolled:
    """Let the catalogue know a speaker by one more recording, which becomes a track of theirs.

    Who may know of its collection may know of the speaker; with none, everybody may.
    Raises AudioError, with what to record instead, when the recording is not good enough,
    NoConsent, or OtherSpeaker; then nothing was kept.
    """
    refuse_without_consent(speaker)
    voice = embed_voice(source)
    refuse_poor(voice)
    title = title_of_enrolment(speaker.name, f"{timezone.localdate():%Y-%m-%d}")
    track = add_track(
        source=source,
        name=name,
        added_by=by,
        kind=Kind.SPEECH,
        fields={"title": title},
        collection=collection,
        for_enrolment=True,
    ).track
    others = track.enrolments.exclude(speaker=speaker)
    if track.speaker_id not in (None, speaker.pk) or others.exists():
        raise OtherSpeaker("This very recording is already enrolled for another speaker.")
    with transaction.atomic():
        edit_track(track=track, changes={"speaker": speaker})
        enrolment = _keep_enrolment(track, speaker.pk, voice, by)
        note(VoiceAction.ENROL, by, speaker.pk, enrolment=enrolment.pk)
    sync_soon()
    return Enrolled(enrolment, _sounding_like(voice, speaker, by))


def title_of_enrolment(name: str, day: str) -> str:
    """What a recording is called that was enrolled on a day."""
    return f"{name}, {day}"


def _sounding_like(voice: Voice, speaker: Speaker, by: Any) -> list[Candidate]:
    """Other speakers it could be; nobody while the index or a threshold is missing."""
    try:
        found = point_in_force(voice_space())
        near = candidates_among(found, voice.embedding, voice.speech.net_ms, by)
    except (IndexUnavailable, ModelUnavailable):
        return []
    point = found.at(voice.speech.net_ms)
    return [one for one in near if one.speaker != speaker and one.score >= point.threshold]


def reembed_enrolments(at_once: int = 50) -> int:
    """Embed with the active encoder what only others know, or whose vector is damaged; how many.

    Any of them: what cannot be decoded any more is noted in the log, and may not stop the others.
    """
    space = voice_space()
    known = Enrolment.objects.filter(space__name=space).exclude(embedding=LOST)
    others = Enrolment.objects.exclude(track__in=known.values("track"))
    others = others.filter(consent_lasts_in("speaker__")).select_related("track")
    embedded = 0
    chosen = {row.track_id: row for row in others.order_by("?")[:at_once]}
    for row in chosen.values():
        try:
            voice = embed_voice(intact_recording(row.track))
        except (AudioError, OSError) as error:
            log.warning("enrolment %s cannot be embedded by %s: %s", row.pk, space, error)
            continue
        _keep_enrolment(row.track, row.speaker_id, voice, row.enrolled_by)
        embedded += 1
    return embedded


def _keep_enrolment(track: Track, speaker_id: int, voice: Voice, by: Any) -> Enrolment:
    ensure_spaces()
    found: dict[str, Any] = {
        "speaker_id": speaker_id,
        "embedding": with_digest(voice.embedding.astype("<f4").tobytes()),
        "net_ms": voice.speech.net_ms,
        "snr_db": round(voice.speech.snr_db, 1),
        "index_stale": True,
        "enrolled_by": by,
    }
    enrolment, _ = Enrolment.objects.update_or_create(
        track=track,
        space=Space.objects.get(name=voice_space()),
        defaults={**found, "payload_version": F("payload_version") + 1},
        create_defaults=found,
    )
    return enrolment
