"""What every matcher is: one question about a query, answered from one space."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from audiosearch.engine.analyzers.base import Representation

Query = TypeVar("Query", bound=Representation)


@dataclass(frozen=True)
class MatcherSpec:
    """The declared face of a matcher: `kind` of the space it searches, and what it settles."""

    name: str
    kind: str
    question: str


class Matcher(ABC, Generic[Query]):
    """Candidates by nearest neighbours, then verified where the matcher knows how."""

    spec: ClassVar[MatcherSpec]

    @abstractmethod
    def match(self, query: Query, index: Any, space: str, *, top_k: int, where: Any) -> Any:
        """The best `top_k` of the space that `where` allows, best first, in the matcher's own form.

        query: the representation that the space's analyzer gave, or what the matcher makes of a
        sound; index: that of the space's kind. Raises IndexUnavailable and SpaceMissing.
        """
