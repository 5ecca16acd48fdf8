"""Same tune: found in any key, octave and tempo, with the right moment; tracks do not mix."""

from itertools import pairwise

import numpy as np
import pytest

from audiosearch.engine.tunes.alignment import agreeing, align
from audiosearch.engine.tunes.analysis import tune_of
from audiosearch.engine.tunes.matching import match_tune, score_tracks
from audiosearch.engine.tunes.packing import FULL, PackedTunes
from audiosearch.engine.tunes.query import TuneQuery
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


def test_paths_do_not_go_from_track_to_track() -> None:
    """Half of what is asked at the end of a track and half at the beginning of the next is in
    neither."""
    ladder = np.eye(36, dtype=np.uint8)[:12] * np.uint8(255)
    query = np.arange(12)

    def costs(*parts: np.ndarray) -> list[float]:
        packed = PackedTunes({n: _folded_only(part) for n, part in enumerate(parts)})
        block = packed.blocks[0]
        return lowest_costs(block.folded_costs(), query, range(1), block)[0].tolist()

    assert costs(ladder) == [0]
    assert costs(ladder[:6], ladder[6:]) == costs(ladder[:6]) + costs(ladder[6:])
    assert min(costs(ladder[:6], ladder[6:])) > 0.3


def test_the_same_however_they_are_packed(
    songs: dict[int, Tune], tunes: PackedTunes, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = hummed(excerpt(), key=-5)
    monkeypatch.setattr(packing, "BLOCK_COLUMNS", 250)
    several = PackedTunes(songs)
    assert len(several.blocks) > 3
    assert np.array_equal(score_tracks(query, several).fused, score_tracks(query, tunes).fused)
    assert match_tune(query, several) == match_tune(query, tunes)


def test_costs_are_those_of_the_best_path() -> None:
    """Against all paths tried one by one; the path that is told costs what it should."""
    rng = np.random.default_rng(3)
    made = [_random_tune(rng, 11), _random_tune(rng, 8)]
    packed = PackedTunes(dict(enumerate(made)))
    query, block = rng.integers(0, 36, 6), packed.blocks[0]
    found = lowest_costs(block.folded_costs(), query, range(0, 8, 7), block)
    for track in range(2):
        folded = packed.costs_of(track).folded
        for shift in (0, 1):
            costs = folded[(query + 7 * shift) % 36]
            best = min(_cheapest(costs, len(costs) - 1, column) for column in range(costs.shape[1]))
            assert found[shift, track] == pytest.approx(best / (FULL * 6))
            path = align(costs)
            assert path[0][0] == 0
            assert path[-1][0] == 5
            assert _cost_of(costs, path) == best


def test_the_stretch_that_agrees() -> None:
    costs = np.full((9, 9), FULL, np.uint8)
    costs[range(3, 7), range(3, 7)] = 0
    found = agreeing(costs, [(n, n) for n in range(9)])
    assert (found.query_begin, found.query_end, found.begin, found.end) == (3, 6, 3, 6)


def _folded_only(folded: np.ndarray) -> Tune:
    frames = len(folded)
    return Tune(
        folded=folded,
        unfolded=np.zeros((frames, 45), np.uint8),
        contour=np.ones(frames, np.uint8),
        tuning=np.zeros(1, np.float32),
    )


def _random_tune(rng: np.random.Generator, frames: int) -> Tune:
    return Tune(
        folded=rng.integers(0, 256, (frames, 36)).astype(np.uint8),
        unfolded=rng.integers(0, 256, (frames, 45)).astype(np.uint8),
        contour=rng.integers(0, 200, frames).astype(np.uint8),
        tuning=np.zeros(1, np.float32),
    )


def _cheapest(costs: np.ndarray, row: int, column: int) -> float:
    """The cost of the best path that ends here, by definition."""
    if column < 0 or row < 0:
        return float("inf")
    own = float(costs[row, column])
    if row == 0:
        return own
    return min(
        _cheapest(costs, row - 1, column - 1) + own,
        _cheapest(costs, row - 1, column - 2) + own,
        _cheapest(costs, row - 2, column - 1) + 2 * own,
    )


def _cost_of(costs: np.ndarray, path: list[tuple[int, int]]) -> float:
    total = float(costs[path[0]])
    for (row, _), (later, column) in pairwise(path):
        total += (later - row) * float(costs[later, column])
    return total
