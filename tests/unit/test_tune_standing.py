"""How far a hit stands above the field, be the catalogue large or three songs."""

import numpy as np
import pytest

from audiosearch.engine.tunes.field import FEWEST, made_tune, strangers
from audiosearch.engine.tunes.matching import TuneAnswer, match_tune
from audiosearch.engine.tunes.packing import PackedTune, PackedTunes
from audiosearch.engine.tunes.query import TuneQuery
from audiosearch.engine.tunes.representation import Tune
from audiosearch.engine.tunes.standing import Field

LENGTH = 150
RIGHT = 1003


def songs(number: int) -> dict[int, Tune]:
    """Made as strangers are, from other seeds."""
    return {1000 + n: made_tune(1000 + n, LENGTH) for n in range(number)}


def asked(track_id: int, *, off: float = 0.3) -> TuneQuery:
    """Nine seconds of its contour, as somebody would hum it who is not in tune."""
    keys = made_tune(track_id, LENGTH).contour_keys[10:55]
    slips = np.random.default_rng(6).normal(0, off, len(keys))
    keys = np.where(np.isnan(keys), np.nanmedian(keys), keys) + slips - 5
    times = np.arange(len(keys), dtype=np.float32) * 200
    return TuneQuery(keys.astype(np.float32), times, len(keys) / 5, 1.0)


def answer(track_id: int, number: int, **how: float) -> TuneAnswer:
    return match_tune(asked(track_id, **how), PackedTunes(songs(number)))


@pytest.mark.parametrize("number", [4, 30, 130])
def test_the_right_one_stands_out(number: int) -> None:
    first, second = answer(RIGHT, number).hits[:2]
    assert first.standing.height > second.standing.height + 0.5
    assert first.item_id == RIGHT
    assert first.standing.tracks == number
    assert first.standing.height > 1.5
    assert min(first.standing.folded, first.standing.unfolded, first.standing.contour) > 0.5


@pytest.mark.parametrize("number", [3, 30])
def test_what_is_not_there_does_not_stand_out(number: int) -> None:
    """The first of three is no likelier than one of the many that were made."""
    heights = [answer(2000 + n, number).hits[0].standing.height for n in range(5)]
    assert np.median(heights) < 1.5


def test_strangers_are_no_hits() -> None:
    assert {hit.item_id for hit in answer(2001, 3).hits} == set(songs(3))


def test_strangers_differ_and_are_as_long_as_the_tracks() -> None:
    tracks = [PackedTune.of(tune) for tune in songs(3).values()]
    made = strangers(tracks, 50)
    assert len(made) == FEWEST >= 50
    assert {len(one) for one in made} == {LENGTH}
    assert len({one.table.tobytes() for one in made}) == FEWEST
    assert made_tune(1, LENGTH).melodic
    assert len(strangers([], 60)[0]) >= 60
    assert len(strangers(tracks, LENGTH + 1)[0]) > LENGTH


def test_median_and_percentile_of_a_weighted_field() -> None:
    scores = np.arange(101, dtype=np.float32)
    field = Field.of(scores, np.ones(101, np.float32))
    assert field.median == pytest.approx(50)
    assert field.height(95) == pytest.approx(1, abs=0.02)
    thinned = np.concatenate([scores[:80:4], scores[80:], [-np.inf]])
    weights = np.concatenate([np.full(20, 4), np.ones(22)]).astype(np.float32)
    again = Field.of(thinned, weights)
    assert again.median == pytest.approx(50, abs=2)
    assert again.height(95) == pytest.approx(1, abs=0.03)


def test_a_field_of_none_divides_by_nothing() -> None:
    for scores in ([], [-np.inf], [2.0]):
        field = Field.of(np.array(scores, np.float32), np.ones(len(scores), np.float32))
        assert np.isfinite(field.height(3.0))
