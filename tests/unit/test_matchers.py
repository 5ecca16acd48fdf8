"""Matchers: known by name, and what sounds alike is found by the nearest windows."""

import numpy as np
import pytest

from audiosearch.engine.analyzers.base import Embeddings
from audiosearch.engine.analyzers.registry import analyzer_names
from audiosearch.engine.indexes.base import Entry
from audiosearch.engine.indexes.exact import ExactIndex
from audiosearch.engine.indexes.filters import TrackFilter
from audiosearch.engine.indexes.payloads import TrackPayload
from audiosearch.engine.matchers.registry import load_matcher, matcher_names

SPACE = "test-v1"


@pytest.mark.parametrize("name", matcher_names())
def test_every_matcher_asks_a_question_of_a_kind_that_there_is(name: str) -> None:
    spec = load_matcher(name).spec
    assert spec.name == name
    assert analyzer_names(spec.kind)
    assert spec.question.endswith("?")


def test_what_sounds_alike_is_found_from_any_part_of_a_long_query() -> None:
    axes = np.eye(64, dtype=np.float32)
    index = ExactIndex()
    index.create_space(SPACE, 64, TrackPayload.layout)
    index.upsert(
        SPACE,
        [
            Entry(TrackPayload(1, collection_id=7), axes[[0, 63]], [(0, 10), (5, 15)]),
            Entry(TrackPayload(2), axes[[33]], [(0, 10)]),
            Entry(TrackPayload(3), (axes[[0]] + axes[[1]]) / np.sqrt(2), [(0, 10)]),
        ],
    )
    spans = np.array([(5 * n, 5 * n + 10) for n in range(64)])
    matcher = load_matcher("sounds_alike")

    found = matcher.match(Embeddings(axes, spans), index, SPACE, top_k=2, where=TrackFilter())
    assert [match.item_id for match in found] == [1, 2]
    assert [match.distance for match in found] == pytest.approx([0, 0], abs=1e-6)

    only = TrackFilter(collection_ids=(7,))
    (match,) = matcher.match(Embeddings(axes[32:], spans[32:]), index, SPACE, top_k=5, where=only)
    assert (match.item_id, match.start_ms) == (1, 5)
    assert match.query_window == 31, "counted in the query's own windows, of which 16 were asked"
