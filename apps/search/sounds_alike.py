"""What else sounds like this, as one of several answers."""

from dataclasses import dataclass

from apps.analysis.answers import Answer, Answerer, AnswerHit
from apps.search.queries import SearchQuestion
from apps.search.results import Hit, SearchResult
from apps.search.services import alike_rate, find_alike


@dataclass(frozen=True)
class AlikeAnswer(Answer):
    """The answer, and the result of the search by nearness that it was made of."""

    result: SearchResult | None = None


class SoundsAlike(Answerer):
    """By nearness alone, which is no probability: what is near is a `maybe`, never a `match`."""

    title = "Sounds alike"
    template = "search/answers/alike.html"

    def sample_rate(self) -> int:
        return alike_rate()

    def knows_tracks(self, *, whole: bool) -> bool:
        return whole

    def answer(self, asked: SearchQuestion) -> AlikeAnswer:  # type: ignore[override] # of a search
        return answer_of(find_alike(asked))


def answer_of(result: SearchResult) -> AlikeAnswer:
    """A result as an answer."""
    reason = result.explanation.message if result.explanation else ""
    hits = [_answer_hit(hit) for hit in result.hits]
    return AlikeAnswer("maybe" if hits else "none", reason, hits, result)


def _answer_hit(hit: Hit) -> AnswerHit:
    return AnswerHit(
        track_id=hit.track.id,
        start_ms=hit.start_ms,
        end_ms=hit.end_ms,
        query_start_ms=hit.query_start_ms,
        query_end_ms=hit.query_end_ms,
        evidence={"distance": round(hit.distance, 6), "similarity": hit.similarity},
    )
