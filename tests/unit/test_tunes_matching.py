"""Same tune: found in any key, octave and tempo, with the right moment; tracks do not mix."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from audiosearch.engine.tunes import ranking
from audiosearch.engine.tunes.alignment import STEP_COSTS, agreeing, align
from audiosearch.engine.tunes.analysis import tune_of
from audiosearch.engine.tunes.field import made_tune
from audiosearch.engine.tunes.matching import match_tune
from audiosearch.engine.tunes.packing import FULL, PackedTune, PackedTunes
from audiosearch.engine.tunes.query import TuneQuery
from audiosearch.engine.tunes.ranking import Compared
from audiosearch.engine.tunes.representation import Tune
from audiosearch.engine.tunes.salience import SAMPLE_RATE
from tests.tune_sounds import Notes, made_melody, noise, played, stretch

ASKED, FIRST_NOTE, SECONDS = 7, 20, 9.0


@pytest.fixture(scope="module")
def songs() -> dict[int, Tune]:
    """Melodies over chords, each in a tuning of its own."""
    return {
        number: tune_of(played(made_melody(number, 22), key=0.07 * number - 0.4, chords=True))
        for number in range(3, 10)
    }


@pytest.fixture(scope="module")
def tunes(songs: dict[int, Tune]) -> PackedTunes:
    return PackedTunes(songs)


def hummed(notes: Notes, **how: float) -> TuneQuery:
    sound = played(notes, **how)  # type: ignore[arg-type]
    return TuneQuery.from_samples(sound + noise(len(sound) / SAMPLE_RATE, 0.01), SAMPLE_RATE)


def excerpt(seconds: float = SECONDS) -> Notes:
    return stretch(made_melody(ASKED, 22), FIRST_NOTE, seconds)


@pytest.mark.parametrize(
    ("key", "tempo", "harmonics"),
    [
        (0, 1.0, 8),
        (-9.3, 1.0, 8),
        (-16, 1.3, 8),
        (4.5, 0.75, 8),
        (19, 1.0, 1),
        (24, 1.2, 1),
        (28.4, 0.9, 1),
    ],
    ids=["as played", "lower", "octave, faster", "slower", "whistled", "high", "highest"],
)
def test_in_any_key_and_tempo(tunes: PackedTunes, key: float, tempo: float, harmonics: int) -> None:
    notes = excerpt(SECONDS * tempo)
    answer = match_tune(hummed(notes, key=key, tempo=tempo, harmonics=harmonics), tunes)
    hit, second = answer.hits[:2]
    assert hit.item_id == ASKED
    assert hit.score > second.score + 0.1
    begin = made_melody(ASKED)[FIRST_NOTE][0]
    assert hit.start_ms / 1000 == pytest.approx(begin + tempo * hit.query_start_ms / 1000, abs=1)
    end = begin + tempo * hit.query_end_ms / 1000
    assert hit.end_ms / 1000 == pytest.approx(end, abs=1)
    assert hit.query_end_ms - hit.query_start_ms > 0.7 * 1000 * SECONDS
    assert hit.tempo == pytest.approx(tempo, rel=0.08)
    assert hit.key_difference == pytest.approx(key - (0.07 * ASKED - 0.4), abs=1)


def test_what_agrees_is_told_from_what_does_not(tunes: PackedTunes) -> None:
    """Four seconds of another tune behind the one that is there are no part of the stretch."""
    notes = excerpt(6)
    other = [(at + 6, length, key) for at, length, key in stretch(made_melody(99), 10, 4)]
    hit = match_tune(hummed(notes + other), tunes).hits[0]
    assert hit.item_id == ASKED
    assert hit.query_start_ms < 1000
    assert hit.query_end_ms / 1000 == pytest.approx(6, abs=1.2)


def test_a_stretch_of_another_rendering(tunes: PackedTunes) -> None:
    rendering = tune_of(played(made_melody(ASKED, 22), key=3, tempo=0.9, harmonics=5, chords=True))
    hit = match_tune(TuneQuery.from_tune(rendering, 8000, 18_000), tunes).hits[0]
    assert hit.item_id == ASKED
    assert hit.start_ms / 1000 == pytest.approx(8 * 0.9, abs=1)
    assert hit.key_difference == 3


def test_refused_before_searching(tunes: PackedTunes) -> None:
    answer = match_tune(TuneQuery.from_samples(noise(6), SAMPLE_RATE), tunes)
    assert answer.hits == []
    assert "too little" in answer.reason


def test_no_tunes_and_one() -> None:
    query = hummed(excerpt())
    assert match_tune(query, PackedTunes({})).hits == []
    one = PackedTunes({5: tune_of(played(made_melody(ASKED, 20)))})
    assert [hit.item_id for hit in match_tune(query, one).hits] == [5]


def test_tracks_too_short_are_no_hits(songs: dict[int, Tune]) -> None:
    short = {
        50: tune_of(played(excerpt(2))),
        51: tune_of(np.zeros(0, np.float32)),
        52: tune_of(np.zeros(200, np.float32)),
    }
    answer = match_tune(hummed(excerpt()), PackedTunes({**short, **songs}), top_k=50)
    assert answer.hits[0].item_id == ASKED
    assert {hit.item_id for hit in answer.hits} == set(songs)


def test_costs_are_those_of_the_best_path() -> None:
    """Against all paths tried one by one, whatever the way, the phase and the key."""
    rng = np.random.default_rng(3)
    tune = PackedTune.of(_random_tune(rng, 11))
    compared = Compared.of(_query(rng.uniform(55, 70, 9)))
    by_contour = _contour_costs(tune)
    ways = {(256, 0, 0): tune.folded, (0, 0, 256): by_contour}
    for shares, folded in ways.items():
        found = compared.costs([tune], shares)[0, 0]
        for key in (0, 5, 25):
            costs = [folded[compared.classes[0, key, phase]] for phase in range(2)]
            assert found[key] == pytest.approx(_cheapest_of(costs), abs=0.01)
    together = compared.costs([tune])[0, 0]
    unfolded = np.concatenate([np.full((1, 11), FULL), tune.table[1:]])
    melody = np.floor(tune.folded + 77 / 256 * by_contour + 0.5)
    for key in (0, 13, 25):
        costs = [
            melody[compared.classes[0, key, phase]] + unfolded[compared.rows[0, key, phase]]
            for phase in range(2)
        ]
        assert together[key] == pytest.approx(_cheapest_of(costs), abs=0.01)


def test_the_path_that_is_told_costs_least() -> None:
    """Of all by which two frames of the query take one to four of the track."""
    costs = np.random.default_rng(4).integers(0, FULL + 1, (9, 8)).astype(np.uint8)
    later = np.pad(costs[1:8:2, 1:], ((0, 0), (0, 1)), constant_values=FULL)
    paired = costs[:8:2].astype(int) + np.minimum(costs[1:8:2], later)
    path = align(costs)
    assert [asked for asked, _ in path] == list(range(8))
    assert {
        later - sooner for (_, sooner), (_, later) in zip(path[::2], path[1::2], strict=True)
    } <= {0, 1}
    steps = [later - sooner for (_, sooner), (_, later) in pairwise(path[::2])]
    stepped = sum(STEP_COSTS[step - 1] for step in steps)
    assert stepped + sum(float(costs[place]) for place in path) == _cheapest(paired)


def test_a_long_track_is_matched_in_parts_without_seams() -> None:
    """What lies across the 2,048th column costs what it does at the beginning of a track."""
    rng = np.random.default_rng(5)
    notes = rng.uniform(58, 72, 60)
    tune = _random_tune(rng, 60)
    before = _random_tune(rng, 2020)
    joined = Tune(
        **{
            name: np.concatenate([before.arrays()[name], one])
            for name, one in tune.arrays().items()
        }
    )
    compared = Compared.of(_query(notes))
    alone = compared.costs([PackedTune.of(one) for one in (tune, before, joined)])[:, 0]
    assert (alone[2] <= np.minimum(alone[0], alone[1])).all()
    planted = PackedTune.of(joined)
    planted.table[compared.classes[0, 4].T.ravel(), np.arange(2018, 2078)] = 0
    planted.table[compared.rows[0, 4].T.ravel(), np.arange(2018, 2078)] = 0
    assert compared.costs([planted], (0, 256, 0))[0, 0, 4] == 0


def test_the_same_by_any_number_of_threads(tunes: PackedTunes) -> None:
    query = hummed(excerpt(), key=-5)
    assert match_tune(query, tunes, threads=3) == match_tune(query, tunes)


def test_the_first_pass_finds_the_likeliest(
    songs: dict[int, Tune], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of many, few are matched in full; the right one is among them, and scores as it did."""
    query = hummed(excerpt(), key=-5)
    many = PackedTunes({**{100 + n: made_tune(n, 110) for n in range(60)}, ASKED: songs[ASKED]})
    in_full = match_tune(query, many, top_k=3).hits
    monkeypatch.setattr(ranking, "FEWEST_LIKELIEST", 4)
    monkeypatch.setattr(ranking, "SAMPLED", 5)
    ranked = ranking.rank_tracks(Compared.of(query), many.packed, top=4, threads=1)
    assert len(ranked.tracks) <= 9 + 5
    assert ranked.weights.sum() == pytest.approx(len(many))
    few = match_tune(query, many, top_k=3).hits
    assert few[0].item_id == in_full[0].item_id == ASKED
    assert few[0].score == in_full[0].score


def test_sounds_that_are_shorter_than_a_hum_say_nothing_of_chance(songs: dict[int, Tune]) -> None:
    """Of a catalogue of songs and many sounds of seconds, a hum stands out as it does of songs."""
    query = hummed(excerpt(), key=-5)
    alone = match_tune(query, PackedTunes({ASKED: songs[ASKED]})).hits[0]
    short = {100 + n: made_tune(n, 22 + n % 10) for n in range(80)}
    among = match_tune(query, PackedTunes({**short, ASKED: songs[ASKED]})).hits[0]
    assert among.item_id == ASKED
    assert among.standing.height == pytest.approx(alone.standing.height, rel=0.05)
    assert among.standing.tracks == alone.standing.tracks == 1


@pytest.mark.parametrize("seed", [2, 4, 11])
def test_the_likeliest_are_tried_in_other_tunings(
    tunes: PackedTunes, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Where notes are off by chance, so is what the tuning of all of them seems to be."""
    hum = hummed(excerpt())
    slips = np.repeat(np.random.default_rng(seed).normal(0, 0.4, 20), 4)[: len(hum.keys)]
    query = replace(hum, keys=(hum.keys + slips - slips.mean()).astype(np.float32))
    tried = match_tune(query, tunes).hits[0]
    assert tried.item_id == ASKED
    assert tried.lift == pytest.approx(-hum.tuning, abs=0.25)
    monkeypatch.setattr(ranking, "TUNINGS", (0.0,))
    assert tried.score > match_tune(query, tunes).hits[0].score + 0.05


def test_a_hit_is_drawn_on_the_contour(songs: dict[int, Tune], tunes: PackedTunes) -> None:
    """Lifted, most of the aligned pitches lie on the song's, frame by frame."""
    query = hummed(excerpt(), key=-9.3)
    hit = match_tune(query, tunes).hits[0]
    asked, there = np.array(hit.path).T
    assert (np.diff(asked) >= 1).all()
    assert (np.diff(there) >= 0).all()
    assert there[0] * 200 == hit.start_ms
    assert (there[-1] + 1) * 200 == hit.end_ms
    apart = query.keys[asked] + hit.lift - songs[ASKED].contour_keys[there]
    assert np.nanmedian(np.abs(apart)) < 0.5


def test_the_stretch_that_agrees() -> None:
    costs = np.full((9, 9), FULL, np.uint8)
    costs[range(3, 7), range(3, 7)] = 0
    found = agreeing(costs, [(n, n) for n in range(9)])
    assert (found.query_begin, found.query_end, found.begin, found.end) == (3, 6, 3, 6)


def _query(keys: np.ndarray) -> TuneQuery:
    times = np.arange(len(keys), dtype=np.float32) * 200
    return TuneQuery(keys.astype(np.float32), times, len(keys) / 5, 1.0)


def _contour_costs(tune: PackedTune) -> np.ndarray:
    """(36, frames) by definition: three semitones apart and more cost the same."""
    apart = np.abs(np.arange(36)[:, None] - tune.table[-1].astype(int))
    return np.minimum(np.minimum(apart, 36 - apart) / 9, 1) * FULL


def _random_tune(rng: np.random.Generator, frames: int) -> Tune:
    return Tune(
        folded=rng.integers(0, 256, (frames, 36)).astype(np.uint8),
        unfolded=rng.integers(0, 256, (frames, 45)).astype(np.uint8),
        contour=rng.integers(0, 200, frames).astype(np.uint8),
        tuning=np.zeros(1, np.float32),
    )


def _cheapest_of(phases: list[np.ndarray]) -> float:
    """Per frame, when every other frame is compared."""
    return sum(map(_cheapest, phases)) / (FULL * sum(map(len, phases)))


def _cheapest(costs: np.ndarray) -> float:
    """The cost of the best path, by definition: each row takes one to four columns."""

    def ending(row: int, column: int) -> float:
        if column < 0:
            return float("inf")
        if not row:
            return float(costs[row, column])
        steps = enumerate(STEP_COSTS, 1)
        before = min(ending(row - 1, column - step) + cost for step, cost in steps)
        return before + float(costs[row, column])

    return min(ending(len(costs) - 1, column) for column in range(costs.shape[1]))
