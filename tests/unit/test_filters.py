from hypothesis import given
from hypothesis import strategies as st

from audiosearch.engine.indexes.filters import EnrolmentFilter, Filter, TrackFilter
from audiosearch.engine.indexes.milvus_expressions import (
    encode_text,
    exact_parts,
    first_windows,
    items_expression,
    to_expression,
)
from audiosearch.engine.indexes.milvus_schema import (
    MAX_TEXT,
    alias_of,
    decode_space,
    encode_space,
    revision_of,
)
from audiosearch.engine.indexes.payloads import EnrolmentPayload, Payload, TrackPayload

anything = st.text(st.characters(codec=None), max_size=100)


def test_asks_nothing() -> None:
    assert to_expression(TrackFilter()) == ""
    assert to_expression(EnrolmentFilter()) == ""


def test_asks_everything() -> None:
    where = TrackFilter(
        collection_ids=(3, 4),
        tags=("rain", 'a "b"'),
        kinds=("sound",),
        min_duration_ms=0,
        max_duration_ms=9,
        added_from=-1,
        added_to=2,
        exclude_item_ids=(7,),
    )
    assert to_expression(where) == (
        'array_contains_all(tags, ["rain", "a%20%22b%22"]) and collection_id in [3, 4]'
        ' and kind in ["sound"] and duration_ms >= 0 and duration_ms <= 9'
        " and added_at >= -1 and added_at <= 2 and track_id not in [7]"
    )


def test_asks_everything_of_enrolments() -> None:
    where = EnrolmentFilter(
        groups=("staff", "choir"), speaker_ids=(1, 2), consent_at=9, exclude_item_ids=(3,)
    )
    assert to_expression(where) == (
        'array_contains_all(groups, ["staff", "choir"]) and speaker_id in [1, 2]'
        " and consent_until >= 9 and enrolment_id not in [3]"
    )


def test_chooses_items_and_windows() -> None:
    assert items_expression("track_id", [1, 2]) == "track_id in [1, 2]"
    assert first_windows("track_id", lite=True) == "id == track_id * 1048576"
    assert first_windows("track_id", lite=False) == "id % 1048576 == 0"
    assert [part for part in exact_parts("enrolment_id") if part.endswith("== 15")] == [
        "enrolment_id % 16 == 15"
    ]


@given(anything, anything)
def test_texts_are_spelled_one_to_one_in_a_harmless_alphabet(one: str, other: str) -> None:
    assert (encode_text(one) == encode_text(other)) == (one == other)
    assert set(encode_text(one)) <= set(
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-~%"
    )
    assert len(encode_text(one)) <= MAX_TEXT


@given(st.lists(anything, min_size=1, max_size=5), st.lists(anything, max_size=5))
def test_no_text_changes_the_shape_of_the_expression(tags: list[str], kinds: list[str]) -> None:
    expression = to_expression(TrackFilter(tags=tuple(tags), kinds=tuple(kinds)))
    plain = to_expression(TrackFilter(tags=("x",) * len(tags), kinds=("x",) * len(kinds)))
    pieces = expression.split('"')
    assert pieces[::2] == plain.split('"')[::2]


def holds(payload: Payload, where: Filter) -> bool:
    return all(condition.holds(payload) for condition in where.conditions)


def test_conditions_hold_as_the_expression_says() -> None:
    payload = TrackPayload(1, "song", 5, ("a", "b"), 1000, 50)
    for where in (
        TrackFilter(),
        TrackFilter(tags=("b", "a"), kinds=("x", "song"), collection_ids=(5,)),
        TrackFilter(min_duration_ms=1000, max_duration_ms=1000),
        TrackFilter(added_from=50, added_to=50, exclude_item_ids=(2,)),
    ):
        assert holds(payload, where), where
    for where in (
        TrackFilter(tags=("a", "c")),
        TrackFilter(kinds=("x",)),
        TrackFilter(collection_ids=(0,)),
        TrackFilter(min_duration_ms=1001),
        TrackFilter(max_duration_ms=999),
        TrackFilter(added_from=51),
        TrackFilter(added_to=49),
        TrackFilter(exclude_item_ids=(1,)),
        TrackFilter(exclude_collection_ids=(5,)),
        TrackFilter(exclude_kinds=("song",)),
    ):
        assert not holds(payload, where), where


def test_conditions_of_enrolments_hold_as_the_expression_says() -> None:
    payload = EnrolmentPayload(
        1, speaker_id=5, groups=("a", "b"), consent_until=50, collection_id=6
    )
    for where in (
        EnrolmentFilter(),
        EnrolmentFilter(groups=("b",), speaker_ids=(4, 5), consent_at=50, exclude_item_ids=(5,)),
    ):
        assert holds(payload, where), where
    for where in (
        EnrolmentFilter(groups=("a", "c")),
        EnrolmentFilter(speaker_ids=(4,)),
        EnrolmentFilter(consent_at=51),
        EnrolmentFilter(exclude_item_ids=(1,)),
        EnrolmentFilter(exclude_collection_ids=(6,)),
    ):
        assert not holds(payload, where), where


@given(st.text(min_size=1, max_size=40), st.text(min_size=1, max_size=40))
def test_space_names_are_spelled_one_to_one(one: str, other: str) -> None:
    assert decode_space(encode_space(one)) == one
    assert (encode_space(one) == encode_space(other)) == (one == other)
    assert revision_of("p", one, alias_of("p", other)) is None
    assert (revision_of("p", one, alias_of("p", other) + "_r12") == 12) == (one == other)


def test_names_of_other_spaces_are_not_taken_for_ours() -> None:
    assert alias_of("audiosearch", "panns_cnn14-v1") == "audiosearch_panns_x5fcnn14_x2dv1"
    assert decode_space("panns_cnn14") is None
    assert decode_space("") is None
    assert revision_of("p", "a", "p_a_r") is None
    assert revision_of("p", "a", "p_ab_r1") is None
