"""Verify a claim (1:1) and identify a voice (1:N), by what is enrolled."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from django.db.models import QuerySet

from apps.access.permissions import may_curate
from apps.catalog.selectors import hidden_collections, seen_by
from apps.voices.audit import note
from apps.voices.consent import consent_lasts, consent_lasts_in, refuse_without_consent
from apps.voices.embedding import Voice, voice_space
from apps.voices.holdings import known_by, nearest_enrolments
from apps.voices.models import Enrolment, Speaker, VoiceAction
from apps.voices.thresholds import MARGIN, InForce, point_in_force
from audiosearch.engine.arrays import FloatArray
from audiosearch.engine.errors import AudioError

NOBODY = "Nobody is enrolled here."


class NotEnrolled(AudioError):
    """The speaker has no recording to compare with."""

    code = "not_enrolled"


@dataclass(frozen=True)
class Candidate:
    """A speaker and the best score of their recordings; probability as if either were as likely."""

    speaker: Speaker
    score: float
    probability: float


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


def verify_speaker(*, voice: Voice, speaker: Speaker, by: Any) -> Verdict:
    """Is this voice the speaker's, by the recordings that `by` may know of?

    Raises NotEnrolled, and NoConsent; to members, who read no consents, the first for both.
    """
    rows, vectors = _known_by(_enrolments_for(by).filter(speaker=speaker))
    reads_consents = by is None or may_curate(by)
    if not reads_consents and not (rows and consent_lasts(speaker)):
        raise NotEnrolled(
            f"{speaker.name} cannot be compared with at present; ask a curator, or choose "
            "somebody else."
        )
    refuse_without_consent(speaker)
    if not rows:
        raise NotEnrolled(f"{speaker.name} has no recording yet; enrol one first.")
    found = point_in_force(voice_space())
    scores = found.scores(voice.embedding, vectors)
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
    """Who of all enrolled speakers (of a group) that `by` may know of it is, or nobody."""
    found = recognise(voice.embedding, voice.speech.net_ms, by, group)
    best = round(found.candidates[0].score, 4) if found.candidates else None
    note(
        VoiceAction.IDENTIFY,
        by,
        found.speaker.pk if found.speaker else None,
        score=best,
        group=group,
    )
    return replace(found, candidates=found.candidates[:top_k])


def recognise(embedding: FloatArray, speech_ms: int, by: Any, group: str = "") -> Identification:
    """The same for a vector (d,) of so much speech; nothing is noted."""
    found = point_in_force(voice_space())
    point = found.at(speech_ms)
    threshold = point.threshold_among(_compared_with(by, group))
    candidates = candidates_among(found, embedding, speech_ms, by, group)
    reason = _why_nobody(candidates, threshold, MARGIN * point.impostor_std)
    who = candidates[0].speaker if candidates and not reason else None
    return Identification(who, reason, threshold, candidates, speech_ms, found.source)


def _enrolments_for(by: Any) -> QuerySet[Enrolment]:
    """What `by` may be answered from: nothing of a recording that they may not know of."""
    return Enrolment.objects.filter(seen_by(by, "track__"), space__name=voice_space())


def _known_by(enrolments: QuerySet[Enrolment]) -> tuple[list[Enrolment], FloatArray]:
    """Those whose vector is known, and the vectors (n, d)."""
    known = list(known_by(enrolments))
    return [row for row, _ in known], np.array([vector for _, vector in known])


def _compared_with(by: Any, group: str) -> int:
    """How many speakers (of a group) a voice is compared with: those whose consent lasts."""
    known = _enrolments_for(by).values("speaker")
    enrolled = Speaker.objects.filter(consent_lasts_in(), pk__in=known)
    if not group:
        return enrolled.count()
    return sum(group in groups for groups in enrolled.values_list("groups", flat=True))


def _why_nobody(candidates: list[Candidate], threshold: float, margin: float) -> str:
    if not candidates:
        return NOBODY
    if candidates[0].score < threshold:
        return "Nobody enrolled: the nearest voice is below the threshold."
    if len(candidates) > 1 and candidates[0].score - candidates[1].score < margin:
        return "Undecided: two enrolled voices are as near; a longer clip may tell them apart."
    return ""


def candidates_among(
    found: InForce, embedding: FloatArray, speech_ms: int, by: Any, group: str = ""
) -> list[Candidate]:
    """Speakers by the best recording of theirs that `by` may know of, best first.

    The index applies group, consent and audience; what it does not know yet, the database does.
    """
    matches = nearest_enrolments(voice_space(), embedding, group, hidden_collections(by))
    near = [match.item_id for match in matches]
    rows, vectors = _known_by(_enrolments_for(by).filter(pk__in=near).select_related("speaker"))
    if not rows:
        return []
    scores = found.scores(embedding, vectors).tolist()
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
