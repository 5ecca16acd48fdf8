"""What one may ask of a sound, and how it is answered: the face of everything that answers.

An app above that answers a question has an `Answerer` for it, which `settings.ANSWERS` names, so
that the search asks them all and imports none.
"""

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Literal, get_args

from apps.access.models import Scope
from apps.access.permissions import may_search
from apps.analysis.clips import Sound
from audiosearch.engine.indexes.filters import TrackFilter

Verdict = Literal["match", "maybe", "none", "unavailable"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)


@dataclass(frozen=True)
class Question:
    """by: who asks. where: the asker's filters and what is hidden from them, for the index query.

    sound: what is asked with; it is decoded at the sample rates of all who answer. as_recorded: it
    is played as it was recorded, so that no other speed or pitch need be tried.
    """

    sound: Sound
    by: Any
    top_k: int
    where: TrackFilter
    as_recorded: bool


@dataclass(frozen=True, kw_only=True)
class AnswerHit:
    """A track (its id; None where a hit is none) and the moment in it that answers, in ms.

    query_start_ms, query_end_ms: in the file that is asked with, not in the stretch of it.
    probability: calibrated, 0 to 1; None where nearness is all that is known. speed: of the query,
    1 as the track. evidence: JSON of numbers and ids; names are for `shown`, as it is kept.
    """

    track_id: int | None = None
    probability: float | None = None
    start_ms: int | None = None
    end_ms: int | None = None
    query_start_ms: int | None = None
    query_end_ms: int | None = None
    speed: float | None = None
    evidence: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """A verdict, a sentence that says why, and the hits, best first.

    The sentence names nothing that some may not know of.
    """

    verdict: Verdict
    reason: str = ""
    hits: list[AnswerHit] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """As it is kept: tracks by number only, as all else of them may change or be erased."""
        hits = []
        for hit in self.hits:
            told = asdict(hit)
            track_id = told.pop("track_id")
            hits.append({"track": None if track_id is None else {"id": track_id}, **told})
        return {"verdict": self.verdict, "reason": self.reason, "hits": hits}


class Answerer(ABC):
    """Answers one question about a sound; one instance is asked from many threads at once.

    title, template: its heading on a page, and what shows it there. scope: what a token must be
    made for. light: it uses no model, so that asking it alone is not counted among the searches of
    a minute.
    """

    title: ClassVar[str]
    template: ClassVar[str] = "search/answers/recording.html"

    scope: ClassVar[Scope] = Scope.READ
    light: ClassVar[bool] = False

    def may_ask(self, user: Any) -> bool:
        """May this user have this answer, and see it when it is kept?"""
        return may_search(user)

    @abstractmethod
    def sample_rate(self) -> int:
        """Of the samples that it takes, in Hz. Raises ModelUnavailable."""

    @abstractmethod
    def answer(self, asked: Question) -> Answer:
        """The answer under `asked.where`; waits for its turn where it uses a model.

        Raises EngineError: the answer is unavailable, with the sentence of the error.
        """

    def knows_tracks(self, *, whole: bool) -> bool:
        """Can it answer for a track, or a stretch of one, without the samples?"""
        return False

    def shown(self, hits: list[dict[str, Any]], viewer: Any) -> list[dict[str, Any]]:
        """Those of its hits, as they were kept, that `viewer` may know of, with names as of now.

        Tracks are seen to by the search; this is for what else the evidence tells of.
        """
        return hits
