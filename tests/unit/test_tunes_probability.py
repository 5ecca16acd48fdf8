"""The probability that a track has a tune: what raises it, what bounds it, and what is said."""

from dataclasses import replace

import numpy as np
import pytest

from audiosearch.engine.tunes.probability import (
    MATCH,
    MAYBE,
    MEASURES,
    SHORT_S,
    STEADY,
    Calibration,
    highest,
    measures_of,
    probabilities,
    verdict_of,
)
from audiosearch.engine.tunes.query import TuneQuery
from audiosearch.engine.tunes.representation import FRAMES_PER_SECOND
from audiosearch.engine.tunes.standing import Standing

HIGH = Standing(height=4.0, tracks=1000, folded=3.0, unfolded=3.0, contour=2.0)
LOW = Standing(height=1.2, tracks=1000, folded=0.8, unfolded=0.5, contour=0.0)


def test_who_stands_high_above_the_field_is_a_match_and_who_does_not_is_none():
    assert verdict_of(probabilities([HIGH])[0]) == "match"
    assert verdict_of(probabilities([LOW])[0]) == "none"


def test_the_higher_the_likelier():
    heights = [replace(HIGH, height=height) for height in (1.0, 1.5, 2.0, 3.0, 5.0)]
    found = [probabilities([one])[0] for one in heights]
    assert found == sorted(found)
    assert 0 < found[0] < MAYBE < MATCH < found[-1] <= 1


def test_of_more_tracks_the_best_stands_as_high_by_chance():
    few, many = (replace(HIGH, height=2.0, tracks=tracks) for tracks in (50, 10_000))
    assert probabilities([few])[0] > probabilities([many])[0]


def test_no_hit_is_likelier_than_the_first():
    behind = replace(LOW, folded=9.0, unfolded=9.0, contour=9.0)
    found = probabilities([LOW, behind, replace(LOW, height=1.0)])
    assert len(found) == 3
    assert max(found) == found[0]


def test_who_is_far_below_the_first_is_unlikely_and_a_second_version_is_not():
    version, other = replace(HIGH, height=3.9), replace(HIGH, height=1.5)
    found = probabilities([HIGH, version, other])
    assert found[1] > MATCH
    assert found[2] < MAYBE


@pytest.mark.parametrize("tracks", [0, 1, 10**7])
def test_however_few_or_many_tracks_there_are_it_is_a_probability(tracks):
    for height in (-100.0, 0.0, 100.0):
        found = probabilities([replace(HIGH, height=height, tracks=tracks)])
        assert 0 <= found[0] <= 1


def test_without_hits_there_is_none():
    assert probabilities([]) == []


def test_measures_are_named_and_weighed_in_that_order():
    measures = measures_of(LOW, HIGH)
    assert len(measures) == len(MEASURES)
    assert measures[MEASURES.index("below")] == pytest.approx(2.8)
    assert measures[MEASURES.index("tracks")] == 0
    assert Calibration(0.0, (1.0, 0.0, 0.0, 0.0, 0.0, 0.0)).probability(measures) == pytest.approx(
        0.7685, abs=1e-3
    )


def test_what_is_short_and_hardly_held_is_no_match() -> None:
    def query(steadiness: float, voiced_s: float) -> TuneQuery:
        keys = np.full(round(voiced_s * FRAMES_PER_SECOND), 60, np.float32)
        return TuneQuery(keys, keys, 10.0, 0.1, steadiness)

    poor = highest(query(STEADY - 0.01, SHORT_S - 1))
    assert poor < MATCH
    assert probabilities([HIGH, HIGH], poor) == [poor, poor]
    for better in (query(STEADY, SHORT_S - 1), query(STEADY - 0.01, SHORT_S)):
        assert probabilities([HIGH], highest(better))[0] >= MATCH
