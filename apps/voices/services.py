"""Enrol a speaker, verify a claim (1:1), identify a voice (1:N), and forget."""

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from django.core.files.storage import default_storage
from django.db import transaction
from django.utils import timezone

from apps.catalog.models import Kind, Speaker, Track
from apps.catalog.services.adding import add_track
from apps.catalog.services.editing import delete_tracks, edit_track
from apps.voices.consent import consent_lasts, consent_lasts_in
from apps.voices.enrolment_index import (
    embedding_of,
    forget_enrolments,
    nearest_enrolments,
    sync_soon,
)
from apps.voices.hearing import Voice, hear_voice, refuse_poor, voice_space
from apps.voices.models import Enrolment, VoiceAction, VoiceEvent
from apps.voices.thresholds import MARGIN, InForce, point_in_force
from audiosearch.engine.analyzers.base import FloatArray
from audiosearch.engine.errors import AudioError, IndexUnavailable, ModelUnavailable

log = logging.getLogger(__name__)


class NoConsent(AudioError):
    """The speaker's consent is not on record, or has ended."""

    code = "no_consent"


class NotEnrolled(AudioError):
    """The speaker has no recording to compare with."""

    code = "not_enrolled"


class OtherSpeaker(AudioError):
    """The recording is enrolled for somebody else."""

    code = "other_speaker"


@dataclass(frozen=True)
class Candidate:
    """A speaker and the best score of their recordings; probability as if either were as likely."""

    speaker: Speaker
    score: float
    probability: float


@dataclass(frozen=True)
class Enrolled:
    """The enrolment, and other speakers whose voice this could be as well."""

    enrolment: Enrolment
    sounds_like: list[Candidate]


@dataclass(frozen=True)
class Verdict:
    """One voice or two: score, and threshold for as much speech as the shorter has.

    far and frr are the shares of two voices accepted, and of one voice refused, that were measured
    at this threshold; `speech_ms` is that of the shorter.
    """

    same: bool
    score: float
    threshold: float
    probability: float
    far: float
    frr: float
    speech_ms: int
    source: str

    @property
    def margin(self) -> float:
        return self.score - self.threshold


@dataclass(frozen=True)
class Identification:
    """Who it is, or nobody (`reason` says why), and the nearest speakers, best first."""

    speaker: Speaker | None
    reason: str
    threshold: float
    candidates: list[Candidate]
    speech_ms: int
    source: str


def enrol(*, speaker: Speaker, source: Path, name: str, by: Any) -> Enrolled:
    """Let the catalogue know a speaker by one more recording, which becomes a track of theirs.

    Raises AudioError, with what to record instead, when the recording is not good enough,
    NoConsent, or OtherSpeaker; then nothing was kept.
    """
    refuse_without_consent(speaker)
    voice = hear_voice(source)
    refuse_poor(voice)
    title = f"{speaker.name}, {timezone.localdate():%Y-%m-%d}"
    track = add_track(
        source=source, name=name, added_by=by, kind=Kind.SPEECH, fields={"title": title}
    ).track
    if track.speaker_id not in (None, speaker.pk):
        raise OtherSpeaker("This very recording is already enrolled for another speaker.")
    with transaction.atomic():
        edit_track(track=track, changes={"speaker": speaker})
        enrolment = _keep_enrolment(track, speaker.pk, voice, by)
        note(VoiceAction.ENROL, by, speaker.pk, enrolment=enrolment.pk)
    sync_soon()
    return Enrolled(enrolment, _sounding_like(voice, speaker))


def _sounding_like(voice: Voice, speaker: Speaker) -> list[Candidate]:
    """Other speakers it could be; nobody while the index or a threshold is missing."""
    try:
        found = point_in_force(voice_space())
        near = _candidates(found, voice.embedding, voice.speech.net_ms)
    except (IndexUnavailable, ModelUnavailable):
        return []
    point = found.at(voice.speech.net_ms)
    return [one for one in near if one.speaker != speaker and one.score >= point.threshold]


def refuse_without_consent(speaker: Speaker) -> None:
    """Raise NoConsent unless consent is on record and has not ended."""
    if not (speaker.consent_by and speaker.consent_on):
        raise NoConsent(
            f"The consent of {speaker.name} is not on record; enter who gave it, and when, first."
        )
    if not consent_lasts(speaker):
        raise NoConsent(f"The consent of {speaker.name} ended on {speaker.consent_until}.")


def hear_anew(at_once: int = 50) -> int:
    """Let the encoder in use hear enrolled recordings that only another one knows; how many.

    Any of them: what cannot be heard any more is noted in the log, and may not stop the others.
    """
    space = voice_space()
    others = Enrolment.objects.exclude(space=space).exclude(track__enrolments__space=space)
    others = others.filter(consent_lasts_in("speaker")).select_related("track")
    heard = 0
    chosen = {row.track_id: row for row in others.order_by("?")[:at_once]}
    for row in chosen.values():
        try:
            voice = hear_voice(Path(default_storage.path(str(row.track.file.name))))
        except (AudioError, OSError) as error:
            log.warning("enrolment %s cannot be heard by %s: %s", row.pk, space, error)
            continue
        _keep_enrolment(row.track, row.speaker_id, voice, row.enrolled_by)
        heard += 1
    return heard


def _keep_enrolment(track: Track, speaker_id: int, voice: Voice, by: Any) -> Enrolment:
    enrolment, _ = Enrolment.objects.update_or_create(
        track=track,
        space=voice_space(),
        defaults={
            "speaker_id": speaker_id,
            "embedding": voice.embedding.astype("<f4").tobytes(),
            "net_ms": voice.speech.net_ms,
            "snr_db": round(voice.speech.snr_db, 1),
            "indexed": False,
            "enrolled_by": by,
        },
    )
    return enrolment


def unenrol(*, enrolment: Enrolment, by: Any) -> None:
    """Forget one recording of a speaker, vectors and audio."""
    forget_enrolments(enrolment.track.enrolments.all())
    number, speaker = enrolment.pk, enrolment.speaker_id
    delete_tracks([enrolment.track_id])
    note(VoiceAction.UNENROL, by, speaker, enrolment=number)


def erase_speaker(*, speaker: Speaker, by: Any) -> None:
    """Forget a speaker: recordings, vectors, name. A line of the audit log stays, with a number.

    Raises IndexUnavailable before anything is deleted.
    """
    rows = list(speaker.enrolments.all())
    forget_enrolments(rows)
    tracks = list(speaker.tracks.values_list("pk", flat=True))
    delete_tracks(tracks)
    with transaction.atomic():
        number = speaker.pk
        speaker.delete()
        note(VoiceAction.ERASE, by, number, recordings=len(tracks), vectors=len(rows))


def verify_speaker(*, voice: Voice, speaker: Speaker, by: Any) -> Verdict:
    """Is this voice the speaker's? Raises NoConsent and NotEnrolled."""
    refuse_without_consent(speaker)
    rows = list(speaker.enrolments.filter(space=voice_space()))
    if not rows:
        raise NotEnrolled(f"{speaker.name} has no recording yet; enrol one first.")
    found = point_in_force(voice_space())
    scores = found.scores(voice.embedding, np.stack([embedding_of(row) for row in rows]))
    best = int(np.argmax(scores))
    verdict = _verdict(found, scores[best], min(voice.speech.net_ms, rows[best].net_ms))
    note(VoiceAction.VERIFY, by, speaker.pk, score=round(verdict.score, 4), same=verdict.same)
    return verdict


def verify_voices(*, voice: Voice, other: Voice, by: Any) -> Verdict:
    """Do two clips hold one voice?"""
    found = point_in_force(voice_space())
    score = found.scores(voice.embedding, other.embedding[None])[0]
    verdict = _verdict(found, score, min(voice.speech.net_ms, other.speech.net_ms))
    note(VoiceAction.VERIFY, by, None, score=round(verdict.score, 4), same=verdict.same)
    return verdict


def identify(*, voice: Voice, by: Any, group: str = "", top_k: int = 5) -> Identification:
    """Who of all enrolled speakers (of a group) it is, or nobody."""
    found = recognise(voice.embedding, voice.speech.net_ms, group)
    best = round(found.candidates[0].score, 4) if found.candidates else None
    note(
        VoiceAction.IDENTIFY,
        by,
        found.speaker.pk if found.speaker else None,
        score=best,
        group=group,
    )
    return replace(found, candidates=found.candidates[:top_k])


def recognise(embedding: FloatArray, speech_ms: int, group: str = "") -> Identification:
    """The same for a vector (d,) that so much speech was heard for; nothing is noted."""
    found = point_in_force(voice_space())
    point = found.at(speech_ms)
    enrolled = Speaker.objects.filter(enrolments__space=voice_space()).distinct().count()
    threshold = point.threshold_among(enrolled)
    candidates = _candidates(found, embedding, speech_ms, group)
    reason = _why_nobody(candidates, threshold, MARGIN * point.impostor_std)
    who = candidates[0].speaker if candidates and not reason else None
    return Identification(who, reason, threshold, candidates, speech_ms, found.source)


def _why_nobody(candidates: list[Candidate], threshold: float, margin: float) -> str:
    if not candidates:
        return "Nobody is enrolled here."
    if candidates[0].score < threshold:
        return "Nobody enrolled: the nearest voice is below the threshold."
    if len(candidates) > 1 and candidates[0].score - candidates[1].score < margin:
        return "Undecided: two enrolled voices are as near; a longer clip may tell them apart."
    return ""


def _candidates(
    found: InForce, embedding: FloatArray, speech_ms: int, group: str = ""
) -> list[Candidate]:
    """Speakers by their best recording, best first.

    The index applies group and consent; what it has not heard of yet, the database knows.
    """
    near = [match.item_id for match in nearest_enrolments(voice_space(), embedding, group)]
    rows = list(Enrolment.objects.filter(pk__in=near).select_related("speaker"))
    if not rows:
        return []
    scores = found.scores(embedding, np.stack([embedding_of(row) for row in rows])).tolist()
    best: dict[int, tuple[float, Speaker]] = {}
    for score, row in sorted(zip(scores, rows, strict=True), key=lambda pair: -pair[0]):
        if consent_lasts(row.speaker):
            best.setdefault(row.speaker_id, (score, row.speaker))
    point = found.at(speech_ms)
    return [Candidate(who, score, point.probability(score)) for score, who in best.values()]


def _verdict(found: InForce, score: float, net_ms: int) -> Verdict:
    point = found.at(net_ms)
    return Verdict(
        same=bool(score >= point.threshold),
        score=float(score),
        threshold=point.threshold,
        probability=point.probability(score),
        far=point.far,
        frr=point.frr,
        speech_ms=net_ms,
        source=found.source,
    )


def note(action: VoiceAction, by: Any, speaker: int | None, **detail: object) -> None:
    """A line in the audit log."""
    known = by is not None and by.is_authenticated
    VoiceEvent.objects.create(
        action=action,
        user=by if known else None,
        username=by.get_username() if known else "",
        speaker_number=speaker,
        detail=detail,
    )
