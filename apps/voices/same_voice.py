"""Who speaks in what is asked with, as one of several answers of the search."""

from typing import Any

from apps.access.models import Scope
from apps.analysis.answers import Answer, Answerer, AnswerHit, Question
from apps.catalog.selectors import visible_speakers
from apps.voices.embedding import LONGEST_S, embed_samples, voice_encoder, voice_space
from apps.voices.permissions import may_recognise
from apps.voices.recognition import NOBODY, Candidate, Identification, identify
from apps.voices.thresholds import point_in_force
from audiosearch.engine.errors import NoSpeech
from audiosearch.engine.voice.speech import RATE


class SameVoice(Answerer):
    """Names the speakers whose score is above the threshold; two of them leave it open.

    What is asked of tracks (collections, tags …) narrows no speakers; who may know of whom does.
    """

    title = "Who speaks"
    template = "voices/_same_voice.html"
    scope = Scope.VOICES

    def may_ask(self, user: Any) -> bool:
        return may_recognise(user)

    def sample_rate(self) -> int:
        voice_encoder()  # says now what it lacks
        return RATE

    def answer(self, asked: Question) -> Answer:
        if not visible_speakers(asked.by).exists():
            return Answer("none", NOBODY)
        samples = asked.sound.samples(RATE)[: LONGEST_S * RATE]
        try:
            voice = embed_samples(samples)
        except NoSpeech as error:
            return Answer("none", str(error))
        found = identify(voice=voice, by=asked.by, top_k=asked.top_k)
        accepted = [one for one in found.candidates if one.score >= found.threshold]
        if not accepted:
            return Answer("none", found.reason)
        hits = [_hit(one, found) for one in accepted]
        return Answer("match" if found.speaker else "maybe", found.reason, hits)

    def shown(self, hits: list[dict[str, Any]], viewer: Any) -> list[dict[str, Any]]:
        known = visible_speakers(viewer).filter(pk__in=[_speaker(hit) for hit in hits])
        names = dict(known.values_list("pk", "name"))
        return [
            {**hit, "evidence": {**hit["evidence"], "name": names[_speaker(hit)]}}
            for hit in hits
            if _speaker(hit) in names
        ]


def _hit(one: Candidate, found: Identification) -> AnswerHit:
    return AnswerHit(
        probability=round(one.probability, 4),
        evidence={
            "speaker": one.speaker.pk,
            "score": round(one.score, 4),
            "threshold": round(found.threshold, 4),
            "far": point_in_force(voice_space()).at(found.speech_ms).far,
            "speech_ms": found.speech_ms,
            "measured_on": found.source,
        },
    )


def _speaker(hit: dict[str, Any]) -> int:
    return int(hit["evidence"]["speaker"])
