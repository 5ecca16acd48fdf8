"""Any filter finds in Milvus Lite what it finds in the exact twin, and is never a wrong expression.

FUZZ_EXAMPLES says how many filters.
"""

import os
from collections.abc import Iterator
from datetime import datetime

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from apps.search.results import SearchSettings
from audiosearch.engine.indexes.base import Entry, VectorIndex
from audiosearch.engine.indexes.exact import ExactIndex
from audiosearch.engine.indexes.filters import EnrolmentFilter, TrackFilter
from audiosearch.engine.indexes.milvus import MilvusIndex
from audiosearch.engine.indexes.milvus_schema import MAX_TEXTS
from tests.fuzz.texts import any_text
from tests.index_contract import DIMENSION, ENROLMENTS, HOSTILE_TAGS, TRACKS, enrolment, track, unit

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "40"))
SPACE = "fuzz-v1"
VOICES = "fuzz-voices-v1"
VECTOR = unit(np.ones((1, DIMENSION), dtype=np.float32))
DRAWN = 1000  # the one track that examples write anew
ALL = 500
Indexes = tuple[VectorIndex, VectorIndex]

EDGES = (0, 1, 2, 7, -1, 2**31 - 1, 2**31, 2**53, 2**53 + 1, 2**63 - 2, 2**63 - 1, 2**63, -(2**63),
         -(2**63) - 1, 2**64, 10**30, -(10**30))  # fmt: skip
FIRST_DAY = int(datetime.fromisoformat("0001-01-01T00:00:00+00:00").timestamp())
LAST_DAY = int(datetime.fromisoformat("9999-12-31T23:59:59+00:00").timestamp())
KINDS = ("sound", "music", "speech", "", 'x"] or 1==1', "雨")
LARGE = 2**53 + 1  # the first that a float cannot hold

many = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
integers = st.one_of(
    st.sampled_from((*EDGES, FIRST_DAY, LAST_DAY, LARGE)), st.integers(0, 60), st.integers()
)
bounds = st.one_of(st.none(), integers)
tags = st.one_of(st.sampled_from(HOSTILE_TAGS), any_text(), st.just("a" * 100_000))
kinds = st.one_of(st.sampled_from(KINDS), any_text())
id_lists = st.one_of(
    st.lists(integers, max_size=6).map(tuple),
    st.integers(0, 20_000).map(lambda count: tuple(range(count))),
)


def lists(texts: st.SearchStrategy[str], largest: int) -> st.SearchStrategy[tuple[str, ...]]:
    """Mostly none or a few; now and then more than any request carries."""
    few = st.lists(texts, max_size=3).map(tuple)
    return st.one_of(few, few, st.integers(0, largest).map(lambda n: tuple(map(str, range(n)))))


filters = st.builds(
    TrackFilter,
    collection_ids=st.one_of(st.just(()), id_lists),
    tags=lists(tags, 200),
    kinds=lists(kinds, 3000),
    min_duration_ms=bounds,
    max_duration_ms=bounds,
    added_from=bounds,
    added_to=bounds,
    exclude_item_ids=st.one_of(st.just(()), id_lists),
    exclude_collection_ids=st.one_of(st.just(()), id_lists),
)


enrolment_filters = st.builds(
    EnrolmentFilter,
    groups=lists(tags, 200),
    speaker_ids=st.one_of(st.just(()), id_lists),
    consent_at=bounds,
    exclude_item_ids=st.one_of(st.just(()), id_lists),
    exclude_collection_ids=st.one_of(st.just(()), id_lists),
)


def catalogue() -> list[Entry]:
    """Tracks that differ in all that can be asked for, up to the largest that a row holds."""
    numbers = (0, 1, 7, 2**31, LARGE - 1, LARGE, 2**63 - 1)
    times = (0, FIRST_DAY, LAST_DAY, -1, 1_790_000_000)
    return [
        track(
            number + 1,
            VECTOR,
            tags=HOSTILE_TAGS[number : number + 1 + number % 3],
            kind=KINDS[number % len(KINDS)],
            collection_id=numbers[number % len(numbers)],
            duration_ms=numbers[number // 2 % len(numbers)],
            added_at=times[number % len(times)],
        )
        for number in range(len(HOSTILE_TAGS))
    ]


def enrolments() -> list[Entry]:
    """Of a few speakers in some groups, whose consent ends sooner or later, or never was."""
    ends = (0, 1, 7, 1_790_000_000, LAST_DAY, 2**40)
    return [
        enrolment(
            number + 1,
            VECTOR,
            speaker_id=number % 5,
            groups=HOSTILE_TAGS[number : number + number % 3],
            consent_until=ends[number % len(ends)],
            collection_id=number % 4,
        )
        for number in range(len(HOSTILE_TAGS))
    ]


@pytest.fixture(scope="module")
def indexes(milvus_lite_uri: str) -> Iterator[Indexes]:
    both = ExactIndex(), MilvusIndex(milvus_lite_uri, prefix="fuzz")
    for index in both:
        index.create_space(SPACE, DIMENSION, TRACKS)
        index.upsert(SPACE, catalogue())
        index.create_space(VOICES, DIMENSION, ENROLMENTS)
        index.upsert(VOICES, enrolments())
    yield both
    both[1].drop_space(SPACE)
    both[1].drop_space(VOICES)


def found(index: VectorIndex, where: TrackFilter | EnrolmentFilter) -> set[int]:
    space = SPACE if isinstance(where, TrackFilter) else VOICES
    ids = {match.item_id for match in index.search(space, VECTOR, ALL, where)}
    assert index.count_items(space, where) == len(ids)
    return ids


@many
@given(where=filters)
@example(where=TrackFilter(collection_ids=(LARGE,)))
@example(where=TrackFilter(min_duration_ms=LARGE, max_duration_ms=LARGE))
@example(where=TrackFilter(collection_ids=tuple(range(50_000))))
@example(where=TrackFilter(exclude_item_ids=tuple(range(50_000))))
@example(where=TrackFilter(kinds=tuple(map(str, range(20_000)))))
@example(where=TrackFilter(tags=("🌧" * 100,) * 5_000))
def test_a_filter_finds_the_same_in_milvus(indexes: Indexes, where: TrackFilter) -> None:
    exact, milvus = indexes
    assert found(milvus, where) == found(exact, where)


@many
@given(where=enrolment_filters)
def test_a_filter_of_enrolments_finds_the_same_in_milvus(
    indexes: Indexes, where: EnrolmentFilter
) -> None:
    exact, milvus = indexes
    assert found(milvus, where) == found(exact, where)


@many
@given(
    tags=st.lists(any_text(), max_size=MAX_TEXTS, unique=True).map(tuple),
    kind=any_text(max_size=100),
    collection_id=st.integers(0, 2**63 - 1),
    duration_ms=st.integers(0, 2**63 - 1),
    added_at=st.integers(FIRST_DAY, LAST_DAY),
)
def test_whatever_a_track_has_it_is_found_by(
    indexes: Indexes,
    tags: tuple[str, ...],
    kind: str,
    collection_id: int,
    duration_ms: int,
    added_at: int,
) -> None:
    drawn = track(
        DRAWN,
        VECTOR,
        tags=tags,
        kind=kind,
        collection_id=collection_id,
        duration_ms=duration_ms,
        added_at=added_at,
    )
    questions = (
        TrackFilter(tags=tags),
        TrackFilter(kinds=(kind,)),
        TrackFilter(collection_ids=(collection_id,)),
        TrackFilter(min_duration_ms=duration_ms, max_duration_ms=duration_ms),
        TrackFilter(added_from=added_at, added_to=added_at),
    )
    for index in indexes:
        index.upsert(SPACE, [drawn])
        for where in questions:
            assert DRAWN in found(index, where), where
        assert DRAWN not in found(index, TrackFilter(exclude_collection_ids=(collection_id,)))
        assert DRAWN not in found(index, TrackFilter(exclude_kinds=(kind,)))
        assert DRAWN not in found(index, TrackFilter(tags=(*tags, "no such tag")))
    exact, milvus = indexes
    for where in questions:
        assert found(milvus, where) == found(exact, where)


@many
@given(
    added_from=st.datetimes(timezones=st.timezones()),
    added_to=st.datetimes(timezones=st.timezones()),
)
def test_any_two_dates_make_a_filter(
    indexes: Indexes, added_from: datetime, added_to: datetime
) -> None:
    where = SearchSettings(added_from=added_from, added_to=added_to).as_filter()
    exact, milvus = indexes
    assert found(milvus, where) == found(exact, where)
