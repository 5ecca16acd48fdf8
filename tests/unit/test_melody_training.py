"""What the network that hears melodies is trained on, and that it learns and is exported whole."""

from pathlib import Path

import numpy as np
import pytest
import torch

from audiosearch.engine.tunes.melody_network import likelihoods_of
from audiosearch.engine.tunes.salience import BINS, LOWEST_KEY, PITCHES, SAMPLE_RATE, STEPS
from benchmarks.melody_training import (
    RESOLUTION,
    Network,
    by_ourselves,
    changed,
    example,
    export,
    right_share,
    targets,
    trained,
)
from tests.tune_sounds import played


def test_an_example_has_each_note_when_it_sounds() -> None:
    melody = [(0.0, 1.0, 60.0), (2.0, 1.0, 64.0)]
    made = example(played(melody, key=0.3)[: 3 * SAMPLE_RATE], melody, 0.3)
    assert made.spectra.shape == (30, 2, PITCHES)
    assert made.keys[:10] == pytest.approx(60.3)
    assert np.isnan(made.keys[10:20]).all()
    assert made.keys[20:] == pytest.approx(64.3)


def test_what_is_to_be_heard_is_the_pitch_or_that_there_is_none() -> None:
    wanted = targets(np.array([LOWEST_KEY + 7 / STEPS, np.nan, LOWEST_KEY - 5.0], np.float32))
    assert wanted.sum(axis=1) == pytest.approx(1)
    assert wanted[0].argmax() == 7
    assert wanted[0, 6] == pytest.approx(wanted[0, 8], abs=1e-5)
    assert wanted[1:, BINS] == pytest.approx(1)


def test_a_song_that_is_moved_is_moved_in_all_of_its_spectrum() -> None:
    spectra = np.zeros((4, 2, PITCHES), np.uint8)
    spectra[:, :, 100] = RESOLUTION
    for up in (-15, 0, 15):
        moved = changed(spectra, up, np.random.default_rng(1))
        assert (moved.argmax(axis=2) == 100 + up).all()
        assert moved.dtype == np.float32


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # PyTorch's, of how it exports
def test_it_learns_and_says_the_same_when_it_is_exported(tmp_path: Path) -> None:
    songs = by_ourselves(range(2))
    network = trained([songs], steps=12)
    path = tmp_path / "melody.onnx"
    export(network, path)
    spectra = songs[0].spectra[:50].astype(np.float32) / RESOLUTION
    with torch.no_grad():
        logits = network(torch.from_numpy(spectra).permute(1, 0, 2)[None])
    assert likelihoods_of(path, spectra) == pytest.approx(logits.softmax(2)[0].numpy(), abs=1e-4)
    untrained = tmp_path / "untrained.onnx"
    export(Network(), untrained)
    assert right_share(path, songs) > right_share(untrained, songs)
