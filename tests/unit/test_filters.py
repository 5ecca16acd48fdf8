from hypothesis import given
from hypothesis import strategies as st

from audiosearch.engine.indexes.base import Filter, TrackFields
from audiosearch.engine.indexes.filters import (
    encode_text,
    matches,
    to_expression,
    tracks_expression,
)
from audiosearch.engine.indexes.milvus_schema import (
    MAX_TEXT,
    alias_of,
    decode_space,
    encode_space,
    revision_of,
)

anything = st.text(st.characters(codec=None), max_size=100)


def test_asks_nothing() -> None:
    assert to_expression(Filter()) == ""


def test_asks_everything() -> None:
    where = Filter(
        collection_ids=(3, 4),
        tags=("rain", 'a "b"'),
        kinds=("sound",),
        min_duration_ms=0,
        max_duration_ms=9,
        added_from=-1,
        added_to=2,
        exclude_track_ids=(7,),
    )
    assert to_expression(where) == (
        'array_contains_all(tags, ["rain", "a%20%22b%22"]) and collection_id in [3, 4]'
        ' and kind in ["sound"] and duration_ms >= 0 and duration_ms <= 9'
        " and added_at >= -1 and added_at <= 2 and track_id not in [7]"
    )
    assert tracks_expression([1, 2]) == "track_id in [1, 2]"


@given(anything, anything)
def test_texts_are_spelled_one_to_one_in_a_harmless_alphabet(one: str, other: str) -> None:
    assert (encode_text(one) == encode_text(other)) == (one == other)
    assert set(encode_text(one)) <= set(
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-~%"
    )
    assert len(encode_text(one)) <= MAX_TEXT


@given(st.lists(anything, min_size=1, max_size=5), st.lists(anything, max_size=5))
def test_no_text_changes_the_shape_of_the_expression(tags: list[str], kinds: list[str]) -> None:
    expression = to_expression(Filter(tags=tuple(tags), kinds=tuple(kinds)))
    plain = to_expression(Filter(tags=("x",) * len(tags), kinds=("x",) * len(kinds)))
    pieces = expression.split('"')
    assert pieces[::2] == plain.split('"')[::2]


def test_matches_what_the_expression_says() -> None:
    fields = TrackFields(1, "song", 5, ("a", "b"), 1000, 50)
    assert matches(fields, Filter())
    assert matches(fields, Filter(tags=("b", "a"), kinds=("x", "song"), collection_ids=(5,)))
    assert matches(fields, Filter(min_duration_ms=1000, max_duration_ms=1000))
    assert matches(fields, Filter(added_from=50, added_to=50, exclude_track_ids=(2,)))
    for where in (
        Filter(tags=("a", "c")),
        Filter(kinds=("x",)),
        Filter(collection_ids=(0,)),
        Filter(min_duration_ms=1001),
        Filter(max_duration_ms=999),
        Filter(added_from=51),
        Filter(added_to=49),
        Filter(exclude_track_ids=(1,)),
    ):
        assert not matches(fields, where), where


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
