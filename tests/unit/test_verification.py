"""Error rates of voices, on scores whose rates are known by reasoning."""

import numpy as np
import pytest

from audiosearch.engine.scoring.normalization import score_voices, score_within
from audiosearch.engine.scoring.verification import (
    Trials,
    all_pairs,
    calibrate,
    decision_at,
    equal_error_rate,
    min_dcf,
    point_at,
    rates_at,
    threshold_for,
)

GENUINE = np.linspace(0.55, 1.0, 46)  # steps of 0.01
IMPOSTOR = np.linspace(0.0, 0.6, 61)


def test_scores_that_do_not_overlap_have_no_error() -> None:
    trials = Trials(np.linspace(0.8, 0.9, 20), np.linspace(0.1, 0.2, 20))
    rate, threshold = equal_error_rate(trials)
    assert rate == 0
    assert 0.2 < threshold <= 0.8
    assert min_dcf(trials, 0.01)[0] == 0
    assert threshold_for(trials, 0.001) == pytest.approx(0.8)


def test_scores_that_say_nothing_err_half_the_time() -> None:
    scores = np.random.default_rng(0).uniform(size=4000)
    trials = Trials(scores[:2000], scores[2000:])
    assert equal_error_rate(trials)[0] == pytest.approx(0.5, abs=0.03)
    assert min_dcf(trials, 0.01)[0] == pytest.approx(1.0, abs=0.01)


def test_two_normal_distributions_two_deviations_apart() -> None:
    """The rate is that of a normal deviate beyond 1: 15.87 %."""
    rng = np.random.default_rng(1)
    trials = Trials(rng.normal(2, 1, 40_000), rng.normal(0, 1, 40_000))
    rate, threshold = equal_error_rate(trials)
    assert rate == pytest.approx(0.1587, abs=0.005)
    assert threshold == pytest.approx(1, abs=0.03)
    slope, intercept = calibrate(trials)  # the log likelihood ratio of these is 2 x - 2
    assert slope == pytest.approx(2, abs=0.08)
    assert intercept == pytest.approx(-2, abs=0.1)
    point = point_at(trials, min_ms=500, far=0.01)
    assert point.probability(1.0) == pytest.approx(0.5, abs=0.02)
    assert point.probability(3.0) > 0.95


def test_rates_count_the_threshold_itself_as_accepted() -> None:
    trials = Trials(np.full(10, 0.5), np.full(10, 0.4))
    far, frr = rates_at(trials, np.array([0.4, 0.4001, 0.5, 0.5001]))
    assert far.tolist() == [1, 0, 0, 0]
    assert frr.tolist() == [0, 0, 0, 1]


def test_a_threshold_keeps_its_target() -> None:
    trials = Trials(GENUINE, IMPOSTOR)
    for target in (0.2, 0.05, 0.001):
        threshold = threshold_for(trials, target)
        assert decision_at(trials, threshold).far <= target
        lower = np.nextafter(IMPOSTOR[threshold > IMPOSTOR].max(), -1)
        assert decision_at(trials, float(lower)).far > target


def test_decision_by_hand() -> None:
    trials = Trials(np.array([0.9] * 8 + [0.1] * 2), np.array([0.9] * 5 + [0.1] * 15))
    found = decision_at(trials, 0.5)
    assert (found.far, found.frr) == (0.25, pytest.approx(0.2))
    assert found.precision == pytest.approx(8 / 13)
    assert found.f1 == pytest.approx(16 / 23)
    assert found.accuracy == pytest.approx(23 / 30)


def test_more_strangers_need_a_higher_threshold() -> None:
    rng = np.random.default_rng(2)
    point = point_at(
        Trials(rng.normal(0.8, 0.05, 500), rng.normal(0.4, 0.1, 20_000)), min_ms=500, far=0.01
    )
    one, hundred = point.threshold_among(1), point.threshold_among(100)
    assert one == pytest.approx(point.threshold, abs=0.01)
    best = rng.normal(0.4, 0.1, (4000, 100)).max(axis=1)
    assert hundred > one
    assert np.mean(best >= hundred) == pytest.approx(0.01, abs=0.006)


def test_all_pairs_once() -> None:
    vectors = np.eye(12, dtype=np.float32)
    trials = all_pairs(vectors @ vectors.T, ["a"] * 6 + ["b"] * 6)
    assert (len(trials.genuine), len(trials.impostor)) == (30, 36)


def test_too_few_trials_are_refused() -> None:
    with pytest.raises(ValueError, match="too few"):
        all_pairs(np.eye(3), ["a", "a", "b"])


def test_scores_without_a_cohort_are_cosines() -> None:
    rng = np.random.default_rng(3)
    voices = _unit(rng.normal(size=(5, 8)))
    assert np.allclose(score_voices(voices[:2], voices, None), voices[:2] @ voices.T)


def test_what_is_near_to_everybody_counts_less() -> None:
    """A direction that half of the cohort shares, as noise is, makes nobody the same voice."""
    rng = np.random.default_rng(4)
    noise = np.zeros(64)
    noise[0] = 3.0
    quiet = rng.normal(0, 0.3, size=(80, 64))
    cohort = _unit(np.concatenate([quiet, quiet + noise]))
    one, other = rng.normal(0, 0.3, size=(2, 64))
    noisy = _unit(np.stack([one, other]) + noise)
    alike = _unit(np.stack([one, one + 0.05 * rng.normal(size=64)]))
    assert noisy[0] @ noisy[1] > 0.5
    assert score_voices(noisy[:1], noisy[1:], cohort)[0, 0] < 3
    assert score_voices(alike[:1], alike[1:], cohort)[0, 0] > 6


def test_both_speakers_of_a_pair_are_left_out_of_the_cohort() -> None:
    rng = np.random.default_rng(5)
    cohort = _unit(rng.normal(size=(200, 16)))
    owners = np.repeat(np.arange(100), 2)
    voices = _unit(cohort[[0, 1, 7, 90]] + 0.1 * rng.normal(size=(4, 16)))
    speakers = np.array([0, 0, 3, 45])
    scores = score_within(voices, speakers, cohort, owners)
    for at in range(4):
        for to in range(4):
            strangers = cohort[(owners != speakers[at]) & (owners != speakers[to])]
            expected = score_voices(voices[[at]], voices[[to]], strangers)[0, 0]
            assert scores[at, to] == pytest.approx(expected, abs=1e-6)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
