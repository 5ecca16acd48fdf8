"""Our path from samples to a voice's vector, beside the package that the weights come from."""

import importlib
import pickle
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audiosearch.engine.analyzers.registry import load_encoder
from audiosearch.engine.analyzers.sessions import open_session
from audiosearch.engine.analyzers.speaker.resemblyzer import Resemblyzer, weights_path
from audiosearch.engine.analyzers.speaker.resemblyzer_export import (
    export,
    mel_bands,
    read_weights,
)
from audiosearch.engine.errors import ModelUnavailable, NoSpeech
from audiosearch.engine.voice.speech import RATE, find_speech
from tests.voices import speak


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def encoder(models: Path) -> Resemblyzer:
    found = load_encoder("resemblyzer", models, threads=1)
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


def test_the_same_network_as_in_pytorch(models: Path, encoder: Resemblyzer) -> None:
    import librosa
    import torch

    theirs = librosa.filters.mel(sr=RATE, n_fft=400, n_mels=40)
    assert np.allclose(mel_bands(), theirs, rtol=1e-6, atol=1e-9)
    kept = torch.load(weights_path(), map_location="cpu", weights_only=True)["model_state"]
    ours = read_weights(weights_path())
    assert all(np.array_equal(values, kept[name].numpy()) for name, values in ours.items())

    lstm, linear = torch.nn.LSTM(40, 256, 3, batch_first=True), torch.nn.Linear(256, 256)
    for name, module in {"lstm": lstm, "linear": linear}.items():
        state = {key: kept[f"{name}.{key}"] for key in module.state_dict()}
        module.load_state_dict(state)
    power = np.random.default_rng(0).gamma(0.3, 2.0, (5, 160, 201)).astype(np.float32)
    with torch.no_grad():
        _, (hidden, _) = lstm(torch.from_numpy(power @ mel_bands().T))
        theirs = torch.nn.functional.normalize(torch.relu(linear(hidden[-1]))).numpy()
    session = open_session(models / "resemblyzer" / "resemblyzer.onnx", 1)
    assert np.abs(session.run(None, {"power": power})[0] - theirs).max() < 1e-5


class Trap:
    """An object whose pickle creates a file when it is read carelessly."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_weights_that_are_not_ours(tmp_path: Path) -> None:
    import torch

    trap, sprung = tmp_path / "trap.pt", tmp_path / "sprung"
    whole = weights_path().read_bytes()
    files = {
        "junk.pt": b"junk",
        "trap.pt": pickle.dumps(Trap(sprung)),
        "cut.pt": whole[: len(whole) // 2],
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    other = {"model_state": {"linear.weight": torch.zeros(3, 3)}}
    torch.save(other, tmp_path / "other.pt", _use_new_zipfile_serialization=False)
    for name in (*files, "other.pt"):
        with pytest.raises(ModelUnavailable, match="does not hold Resemblyzer's weights"):
            export(tmp_path / name, tmp_path / "out.onnx")
    assert not (tmp_path / "out.onnx").exists()
    assert not sprung.exists()
    pickle.loads(trap.read_bytes())  # noqa: S301
    assert sprung.exists(), "the trap works"


def test_weights_of_another_shape(tmp_path: Path) -> None:
    import torch

    kept = torch.load(weights_path(), map_location="cpu", weights_only=True)
    kept["model_state"]["linear.bias"] = torch.zeros(3)
    torch.save(kept, tmp_path / "wide.pt", _use_new_zipfile_serialization=False)
    with pytest.raises(ModelUnavailable, match="another network"):
        export(tmp_path / "wide.pt", tmp_path / "out.onnx")
