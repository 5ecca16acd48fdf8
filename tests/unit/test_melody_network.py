"""Which pitch leads: of a melody over what accompanies it, and where nothing does."""

from pathlib import Path

import numpy as np
import pytest

from audiosearch.engine.arrays import FloatArray
from audiosearch.engine.errors import ModelUnavailable
from audiosearch.engine.tunes.analysis import tune_of
from audiosearch.engine.tunes.melody_network import (
    MODEL,
    REACH,
    likelihoods,
    likelihoods_of,
    sureness,
)
from audiosearch.engine.tunes.predominance import strongest
from audiosearch.engine.tunes.salience import (
    BINS,
    LOWEST_KEY,
    PITCHES,
    SAMPLE_RATE,
    STEPS,
    heard_whole,
)
from tests.tune_sounds import Notes, made_melody, played

CHORDS: Notes = [(2.0 * bar, 2.0, key) for bar in range(6) for key in (72.0, 76.0, 79.0)]
LOUDER = 2.5
LEADING: Notes = [(0.5 * n, 0.5, 60.0 + (0, 2, 4, 7, 5, 4, 2, -1)[n % 8]) for n in range(24)]


def spectra(sound: FloatArray) -> FloatArray:
    return heard_whole(sound).spectra


def right(keys: FloatArray) -> float:
    """Share of the middles of notes whose pitch is the melody's; five keys a second."""
    wanted = np.array([key for _, _, key in LEADING])
    middles = [int((at + length / 2) * 5) for at, length, _ in LEADING]
    return float((np.abs(keys[middles] - wanted) <= 0.5).mean())


def test_a_melody_is_heard_below_louder_chords() -> None:
    """What sounds strongest are the chords."""
    song = played(LEADING) + played(CHORDS)[: len(played(LEADING))] * np.float32(LOUDER)
    assert right(strongest(heard_whole(song).salience)) < 0.5
    assert right(tune_of(song).contour_keys) > 0.85


def test_likelihoods_are_of_each_tenth_of_a_second() -> None:
    told = likelihoods(spectra(played(LEADING, key=0.2)[: 12 * SAMPLE_RATE]))
    assert told.shape == (120, BINS + 1)
    assert told.sum(axis=1) == pytest.approx(1, abs=1e-4)
    keys = LOWEST_KEY + told[:, :BINS].argmax(axis=1) / STEPS
    assert np.median(np.abs(keys[2::5] - 0.2 - np.array([key for _, _, key in LEADING]))) < 0.35


def test_nothing_leads_in_silence() -> None:
    told = likelihoods(spectra(np.zeros(6 * SAMPLE_RATE, np.float32)))
    assert told[REACH:-REACH, BINS].min() > 0.5


def test_it_is_sure_of_a_melody_and_of_little_in_a_din() -> None:
    song = played(LEADING) + played(CHORDS)[: len(played(LEADING))]
    assert sureness(likelihoods(spectra(song))) > 0.7
    rng = np.random.default_rng(1)
    glides = [np.cumsum(np.exp(np.cumsum(rng.normal(0, 0.001, len(song))))) for _ in range(6)]
    din = sum(np.sin(0.02 * one) for one in glides) * rng.uniform(0.5, 1, len(song))
    assert sureness(likelihoods(spectra(din.astype(np.float32)))) < 0.45
    assert sureness(np.eye(1, BINS + 1, BINS, dtype=np.float32)) == 0


def test_what_is_farther_than_its_reach_makes_no_difference() -> None:
    whole = spectra(played(made_melody(1, 12), chords=True)[: 12 * SAMPLE_RATE])
    part = likelihoods(whole[40:])[REACH:]
    assert likelihoods(whole)[40 + REACH :] == pytest.approx(part, abs=1e-4)


def test_a_damaged_network_is_told(tmp_path: Path) -> None:
    damaged = tmp_path / "melody.onnx"
    damaged.write_bytes(MODEL.read_bytes()[:1000])
    with pytest.raises(ModelUnavailable, match="cannot be loaded"):
        likelihoods_of(damaged, np.zeros((1, 2, PITCHES), np.float32))
