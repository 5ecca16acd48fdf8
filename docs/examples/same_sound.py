"""A toy matcher: is this very sound in the catalogue, or nothing like it?"""

from audiosearch.engine.analyzers.base import Embeddings
from audiosearch.engine.indexes.base import Match, VectorIndex
from audiosearch.engine.indexes.filters import Filter
from audiosearch.engine.matchers.base import Matcher, MatcherSpec

FARTHEST = 0.02


class SameSound(Matcher[Embeddings]):
    """Candidates are the nearest neighbours; verified is that they are hardly apart."""

    spec = MatcherSpec("same_sound", kind="embedding", question="Is this very sound here?")

    def match(
        self, query: Embeddings, index: VectorIndex, space: str, *, top_k: int, where: Filter
    ) -> list[Match]:
        candidates = index.search(space, query.embeddings[:16], top_k, where)
        return [match for match in candidates if match.distance <= FARTHEST]
