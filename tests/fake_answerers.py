"""Answerers for tests: one that knows recordings by their fake embedding, and what goes wrong."""

from threading import Event
from typing import ClassVar

from apps.analysis.answers import Answer, Answerer, AnswerHit, Question
from apps.analysis.index import get_index
from apps.search.queries import active_encoder, embed_query
from audiosearch.engine.errors import ModelUnavailable

SURE, PERHAPS = 0.001, 0.05
"""Cosine distances."""


class Recording(Answerer):
    """Which recording it is: one whose embedding is the same, nearly."""

    title = "Same recording"
    light = True

    def sample_rate(self) -> int:
        return active_encoder()[1].spec.sample_rate

    def answer(self, asked: Question) -> Answer:
        space, encoder = active_encoder()
        query = embed_query(asked.sound.samples(self.sample_rate()), encoder)
        found = get_index().search(space, query.embeddings, asked.top_k, asked.where)
        near = [match for match in found if match.distance < PERHAPS]
        hits = [
            AnswerHit(
                track_id=match.item_id,
                probability=0.99 if match.distance < SURE else 0.6,
                start_ms=match.start_ms,
                end_ms=match.end_ms,
                query_start_ms=asked.sound.start_ms,
                query_end_ms=asked.sound.start_ms + (asked.sound.duration_ms or 0),
                speed=1.0,
            )
            for match in near
        ]
        is_sure = bool(near) and near[0].distance < SURE
        return Answer("match" if is_sure else "maybe" if hits else "none", "", hits)


class Failing(Recording):
    title = "Failing"

    def answer(self, asked: Question) -> Answer:
        raise ZeroDivisionError("a secret of the inside")


class Lacking(Recording):
    title = "Lacking"

    def sample_rate(self) -> int:
        raise ModelUnavailable("Its model is not here.")


class Slow(Recording):
    """Answers when it is let go."""

    title = "Slow"
    go = Event()

    def answer(self, asked: Question) -> Answer:
        self.go.wait(60)
        return super().answer(asked)


class Tune(Answerer):
    """Answers what a test has put here, as what knows tunes would."""

    title = "Same tune"
    template = "search/answers/tune.html"
    found: ClassVar[Answer] = Answer("none", "")

    def sample_rate(self) -> int:
        return 16_000

    def answer(self, asked: Question) -> Answer:
        return self.found
