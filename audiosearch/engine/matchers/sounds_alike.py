"""What else sounds like this: the nearest embeddings, with nothing more to verify."""

from dataclasses import replace

from audiosearch.engine.analyzers.base import Embeddings
from audiosearch.engine.analyzers.windows import spread
from audiosearch.engine.indexes.base import Filter, Match, VectorIndex
from audiosearch.engine.matchers.base import Matcher, MatcherSpec

MAX_QUERY_WINDOWS = 16


class SoundsAlike(Matcher[Embeddings]):
    """By the smallest distance between any two windows; of a long query 16, spread evenly."""

    spec = MatcherSpec("sounds_alike", kind="embedding", question="What else sounds like this?")

    def match(
        self, query: Embeddings, index: VectorIndex, space: str, *, top_k: int, where: Filter
    ) -> list[Match]:
        asked = spread(len(query.embeddings), MAX_QUERY_WINDOWS)
        found = index.search(space, query.embeddings[asked], top_k, where)
        return [replace(match, query_window=asked[match.query_window]) for match in found]
