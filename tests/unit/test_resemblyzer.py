"""Our path from samples to a voice's vector, beside the package that the weights come from."""

import importlib
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audiosearch.engine.analyzers.registry import load_analyzer
from audiosearch.engine.analyzers.speaker.resemblyzer import Resemblyzer, weights_path
from audiosearch.engine.errors import ModelUnavailable, NoSpeech
from audiosearch.engine.voice.speech import RATE, find_speech
from tests.voices import speak


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def encoder(models: Path) -> Resemblyzer:
    found = load_analyzer("resemblyzer", models, threads=1)
    assert isinstance(found, Resemblyzer)
    return found


@pytest.fixture(scope="module")
def package() -> Any:
    """The package itself; the module it takes one function from has moved within SciPy."""
    from scipy import ndimage

    moved = types.ModuleType("scipy.ndimage.morphology")
    moved.binary_dilation = ndimage.binary_dilation  # type: ignore[attr-defined]
    sys.modules.setdefault("scipy.ndimage.morphology", moved)
    return importlib.import_module("resemblyzer")


@pytest.mark.parametrize("seconds", [1.7, 2.0, 3.3, 8.0, 21.0])
def test_the_same_vector_as_the_package(encoder: Resemblyzer, package: Any, seconds: float) -> None:
    samples = speak(seed=int(seconds * 10), seconds=seconds)
    theirs = package.VoiceEncoder("cpu", verbose=False).embed_utterance(samples)
    ours = encoder.encode(samples[None]).embeddings[0]
    assert np.abs(ours - theirs).max() < 1e-5
    assert np.isclose(np.linalg.norm(ours), 1, atol=1e-6)


def test_the_same_speech_as_the_package(package: Any) -> None:
    pauses = np.zeros(RATE, np.float32)
    samples = np.concatenate([speak(1, 3.0), pauses, 0.1 * speak(2, 2.0), pauses])
    theirs = package.preprocess_wav(samples)
    ours = find_speech(samples).samples
    assert len(ours) == len(theirs)
    assert np.abs(ours - theirs).max() < 1e-6


def test_short_speech_is_repeated(encoder: Resemblyzer) -> None:
    short = speak(3, 0.5)
    repeated = np.resize(short, int(1.6 * RATE))
    ours, same = (encoder.encode(x[None]).embeddings[0] for x in (short, repeated))
    assert np.allclose(ours, same, atol=1e-6)


@pytest.mark.parametrize("samples", [np.zeros(RATE, np.float32), np.zeros(0, np.float32)])
def test_silence_is_no_speech(samples: np.ndarray) -> None:
    with pytest.raises(NoSpeech, match="hardly any speech"):
        find_speech(samples)


def test_the_export_is_made_elsewhere(models: Path, encoder: Resemblyzer) -> None:
    assert [path.name for path in (models / "resemblyzer").iterdir()] == ["resemblyzer.onnx"]


def test_weights_that_are_not_ours(tmp_path: Path) -> None:
    from audiosearch.engine.analyzers.speaker.resemblyzer_export import export_checked

    (tmp_path / "junk.pt").write_bytes(b"junk")
    with pytest.raises(ModelUnavailable):
        export_checked(tmp_path / "junk.pt", tmp_path / "out.onnx")
    assert weights_path().name == "pretrained.pt"
    assert not (tmp_path / "out.onnx").exists()
