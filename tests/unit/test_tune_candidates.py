"""Vectors of windows, and the candidates that are found by them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from audiosearch.engine.indexes.base import Entry, WindowHits
from audiosearch.engine.indexes.exact import ExactIndex
from audiosearch.engine.indexes.filters import TrackFilter
from audiosearch.engine.indexes.payloads import TrackPayload
from audiosearch.engine.tunes import projection as projections
from audiosearch.engine.tunes.analysis import tune_of
from audiosearch.engine.tunes.candidates import likeliest, tune_candidates
from audiosearch.engine.tunes.patches import SLOTS, intervals, query_patches
from audiosearch.engine.tunes.projection import (
    DIMENSION,
    PATH,
    RECIPE,
    projected,
    projection,
    save_projection,
)
from audiosearch.engine.tunes.query import TuneQuery
from audiosearch.engine.tunes.representation import FRAME_MS, Tune
from audiosearch.engine.tunes.salience import KEYS, SAMPLE_RATE
from audiosearch.engine.tunes.training import SKILLS, correlated, hummed, song_pairs
from audiosearch.engine.tunes.windows import (
    HOP_FRAMES,
    HOP_MS,
    TEMPI,
    WINDOW_FRAMES,
    WINDOW_MS,
    QueryWindows,
    query_windows,
    tune_windows,
)
from tests.tune_sounds import made_melody, played, stretch

SPACE = "tunes-v1"


def made_tune(frames: int, seed: int = 1) -> Tune:
    """Salience of chance, one key after another the strongest."""
    rng = np.random.default_rng((42, seed))
    unfolded = (rng.random((frames, KEYS)) ** 4 * 200).astype(np.uint8)
    line = np.clip(20 + np.cumsum(rng.integers(-3, 4, -(-frames // 3))), 8, 36).repeat(3)[:frames]
    unfolded[np.arange(frames), line] = 255
    folded, contour = np.zeros((frames, 36), np.uint8), (line * 5 + 1).astype(np.uint8)
    return Tune(folded, unfolded, contour, np.zeros(1, np.float32))


def query_of(keys: np.ndarray) -> TuneQuery:
    times = (np.arange(len(keys)) + 0.5) * FRAME_MS
    return TuneQuery(
        keys.astype(np.float32), times.astype(np.float32), len(keys) * FRAME_MS / 1000, 0.5
    )


@pytest.fixture(scope="module")
def catalogue() -> dict[int, Tune]:
    return {n: tune_of(played(made_melody(n, seconds=16), harmonics=5)) for n in range(1, 13)}


@pytest.fixture(scope="module")
def index(catalogue: dict[int, Tune]) -> ExactIndex:
    index = ExactIndex()
    index.create_space(SPACE, DIMENSION, TrackPayload.layout)
    for number, tune in catalogue.items():
        windows = tune_windows(tune)
        payload = TrackPayload(number, collection_id=number % 2)
        index.upsert(SPACE, [Entry(payload, windows.embeddings, windows.span_pairs)])
    return index


def test_the_projection_is_of_the_recipe_and_small() -> None:
    with np.load(PATH) as kept:
        assert int(kept["recipe"]) == RECIPE
    assert PATH.stat().st_size <= 400_000
    assert len(projection().recordings) == 2 * len(projection().queries)
    assert projection().recordings.shape[1] == DIMENSION
    assert np.isfinite(projection().queries).all()


def test_a_projection_of_another_recipe_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "projection.npz"
    monkeypatch.setattr(projections, "PATH", path)
    save_projection(projection(), path)
    load = projections.projection.__wrapped__
    assert np.abs(load().queries - projection().queries).max() == 0
    monkeypatch.setattr(projections, "RECIPE", RECIPE + 1)
    with pytest.raises(ValueError, match="train_tune_projection"):
        load()


def test_windows_are_of_unit_length_and_a_hop_apart() -> None:
    windows = tune_windows(made_tune(100))
    assert windows.embeddings.shape == (8, DIMENSION)
    assert windows.embeddings.dtype == np.float32
    assert np.linalg.norm(windows.embeddings, axis=1) == pytest.approx(1, abs=1e-5)
    assert windows.span_pairs == [(n * HOP_MS, n * HOP_MS + WINDOW_MS) for n in range(8)]


def test_a_window_is_the_same_whatever_is_around_it() -> None:
    tune = made_tune(120)
    part = replace(tune, **{name: getattr(tune, name)[20:60] for name in ("unfolded", "contour")})
    alone, among = tune_windows(part), tune_windows(tune)
    assert 20 % HOP_FRAMES == 0
    begin = 20 // HOP_FRAMES
    assert alone.embeddings == pytest.approx(among.embeddings[begin : begin + 2], abs=1e-5)


def test_what_is_short_has_one_window_and_silence_none() -> None:
    short = tune_windows(made_tune(WINDOW_FRAMES - 5))
    assert short.span_pairs == [(0, (WINDOW_FRAMES - 5) * FRAME_MS)]
    nothing = {"unfolded": np.zeros((60, KEYS), np.uint8), "contour": np.zeros(60, np.uint8)}
    silent = replace(made_tune(60), **nothing)
    assert len(tune_windows(silent).embeddings) == len(tune_windows(made_tune(0)).embeddings) == 0


def test_what_is_transposed_has_the_same_vectors() -> None:
    rng = np.random.default_rng(3)
    patches = np.zeros((3, SLOTS, KEYS), np.float32)
    patches[:, :, 10:25] = rng.random((3, SLOTS, 15))
    assert intervals(np.roll(patches, 7, axis=2)) == pytest.approx(intervals(patches), abs=1e-5)
    keys = 60 + np.round(np.cumsum(rng.normal(0, 1.5, 40)).clip(-9, 9))
    for lift in (-14, 5, 19):
        low, high = query_windows(query_of(keys)), query_windows(query_of(keys + lift))
        assert low.embeddings == pytest.approx(high.embeddings, abs=1e-5)


def test_windows_of_a_query() -> None:
    asked = query_windows(query_of(60 + 5 * np.sin(np.arange(50))))
    assert np.linalg.norm(asked.embeddings, axis=1) == pytest.approx(1, abs=1e-5)
    assert set(asked.tempi.tolist()) == set(range(len(TEMPI)))
    at_tempo = asked.begins_ms[asked.tempi == TEMPI.index(1.0)]
    assert at_tempo.tolist() == [n * 800 for n in range(7)]
    short = query_windows(query_of(60 + np.arange(18.0)))
    assert np.unique(short.tempi, return_counts=True)[1].tolist() == [1] * len(TEMPI)
    assert len(query_windows(query_of(np.zeros(0)))) == 0


def test_a_window_of_a_query_is_near_that_of_its_recording() -> None:
    tune = made_tune(60)
    asked = query_windows(TuneQuery.from_tune(tune, 2_000, 7_000))
    similarities = asked.embeddings @ tune_windows(tune).embeddings.T
    others = asked.embeddings @ tune_windows(made_tune(400, seed=2)).embeddings.T
    assert similarities[asked.tempi == 2].argmax() == 1
    assert similarities.max() > others.max()


def test_planted_tunes_are_found(index: ExactIndex) -> None:
    ranks = []
    for number in range(1, 13, 2):
        notes = stretch(made_melody(number), 8, 9)
        hum = played(notes, key=-7.3, tempo=1.08, harmonics=4)
        query = TuneQuery.from_samples(hum, SAMPLE_RATE)
        found = tune_candidates(query, index, SPACE, TrackFilter(), 12)
        ranks.append(found.index(number) if number in found else 12)
    assert sum(rank < 2 for rank in ranks) >= 4, ranks


def test_filters_are_respected(index: ExactIndex) -> None:
    query = TuneQuery.from_samples(played(stretch(made_melody(4), 10, 9)), SAMPLE_RATE)
    for where, allowed in (
        (TrackFilter(collection_ids=(1,)), set(range(1, 13, 2))),
        (TrackFilter(exclude_item_ids=(4, 6)), set(range(1, 13)) - {4, 6}),
    ):
        found = tune_candidates(query, index, SPACE, where, 12)
        assert found
        assert set(found) <= allowed
    assert len(tune_candidates(query, index, SPACE, TrackFilter(), 5)) == 5
    nowhere = TrackFilter(kinds=("elsewhere",))
    assert tune_candidates(query, index, SPACE, nowhere, 12) == []
    assert tune_candidates(query_of(np.zeros(0)), index, SPACE, TrackFilter(), 12) == []


def test_hits_that_agree_in_place_count_together() -> None:
    asked = QueryWindows(
        np.zeros((3, DIMENSION), np.float32), np.full(3, 2), np.array([0, 1e3, 2e3])
    )
    hits = [  # query vector, track, start, similarity
        *((0, 7, 9_000, 0.8), (0, 5, 30_000, 0.9), (0, 1, 0, 0.3)),
        *((1, 7, 10_000, 0.8), (1, 5, 4_000, 0.9), (1, 1, 0, 0.3)),
        *((2, 7, 11_000, 0.8), (2, 5, 19_000, 0.9), (2, 1, 0, 0.3)),
    ]
    queries, items, starts, similarities = (np.array(column) for column in zip(*hits, strict=True))
    found = WindowHits(queries, items, starts, similarities.astype(np.float32))
    assert likeliest(asked, found) == [7, 5, 1]
    assert likeliest(asked, WindowHits.none()) == []


def test_training_is_repeatable_and_finds_what_correlates() -> None:
    (asked, heard), again = song_pairs(0), song_pairs(0)
    assert np.array_equal(asked, again[0])
    assert np.array_equal(heard, again[1])
    assert len(asked) == len(heard) > 50
    rng = np.random.default_rng(4)
    shared = rng.standard_normal((3000, 3))
    noisy = [np.hstack([shared, rng.standard_normal((3000, 40))]).astype(np.float32) for _ in "xy"]
    noisy[1] = noisy[1][:, ::-1]
    made = correlated(*noisy)
    left, right = noisy[0] @ made.recordings[:, :3], noisy[1] @ made.queries[:, :3]
    assert min(abs(np.corrcoef(left[:, n], right[:, n])[0, 1]) for n in range(3)) > 0.9


def test_hums_for_training_are_off_as_much_as_their_skill() -> None:
    notes = made_melody(3)
    off = []
    for skill in SKILLS:
        line = hummed(notes, np.random.default_rng(5), skill)
        true = [next(key for at, n, key in notes[::-1] if at <= s) for s in line.seconds]
        off.append(float(np.median(np.abs(line.keys - true))))
    assert off == sorted(off)
    assert 0.02 < off[0] < 0.4 < off[2] < 3


def test_projected_silence_stays_zero() -> None:
    silent = intervals(np.zeros((2, SLOTS, KEYS), np.float32))
    assert not projected(silent, projection().queries).any()
    line = intervals(query_patches(np.full((1, SLOTS), 60, np.float32)))
    assert np.linalg.norm(projected(line, projection().queries)) == pytest.approx(1, abs=1e-5)
