"""Where somebody speaks: rain, sirens and telephones are nobody, and people are somebody."""

import csv
import importlib.metadata
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from audiosearch.engine.arrays import FloatArray
from audiosearch.engine.audio.sandbox import decode
from audiosearch.engine.errors import ModelUnavailable, NoSpeech
from audiosearch.engine.voice import activity
from audiosearch.engine.voice.activity import HOP, Activity, speech_probabilities, spoken
from audiosearch.engine.voice.speech import (
    FRAME,
    RATE,
    find_speech,
    raised,
    speech_frames,
    voiced_frames,
)
from tests.everyday_sounds import SECONDS, engine, noise, rain, siren, surf, telephone
from tests.voices import speak

SHARED = Path(__file__).parents[3] / "shared" / "data"


@pytest.mark.parametrize("sound", [rain, siren, telephone, engine, noise, surf])
def test_what_nobody_says_is_no_speech(sound: Callable[[], FloatArray]) -> None:
    samples = sound()
    assert np.count_nonzero(voiced_frames(raised(samples))) * 30 > 300, "WebRTC takes it for speech"
    with pytest.raises(NoSpeech, match="record somebody speaking"):
        find_speech(samples)


@pytest.mark.parametrize("gain", [1.0, 0.01])
def test_somebody_is_found_in_the_rain(gain: float) -> None:
    said = np.concatenate([rain(), speak(31, 3), rain()])
    _, found = speech_frames(np.float32(gain) * said)
    at_s = np.flatnonzero(found) * FRAME / RATE
    assert SECONDS - 0.4 < at_s.min() < SECONDS + 0.2
    assert SECONDS + 2.7 < at_s.max() < SECONDS + 3.5


@pytest.mark.parametrize("seed", range(4))
def test_what_is_said_is_kept(seed: int) -> None:
    samples = np.pad(speak(seed, 5), RATE)
    whole, found = speech_frames(samples)
    voiced = voiced_frames(whole)
    assert np.count_nonzero(found) >= 0.99 * np.count_nonzero(voiced)
    assert not np.any(found & ~voiced)


def test_a_short_burst_is_no_speech_and_a_pause_divides_none() -> None:
    sure = np.zeros(200, np.float32)
    sure[100:107] = 1.0
    assert not spoken(sure).any()
    sure[110:111] = 1.0  # a word of several parts
    assert np.flatnonzero(spoken(sure)).tolist() == list(range(91, 120))
    assert not spoken(np.full(200, 0.8, np.float32)).any()
    assert not len(spoken(np.zeros(0, np.float32)))


@pytest.mark.parametrize("size", [1, 400, HOP, 10_000, RATE * 20])
def test_pieces_make_no_difference(size: int) -> None:
    seconds = 1 if size == 1 else 20
    samples = np.concatenate([rain(), speak(2, seconds + 0.01)])[-int((seconds + 0.01) * RATE) :]
    stream, found = Activity(), list[FloatArray]()
    for at in range(0, len(samples), size):
        found.append(stream.feed(samples[at : at + size]))
    found.append(stream.finish())
    whole = speech_probabilities(samples)
    assert len(whole) == -(-len(samples) // HOP)
    assert np.abs(np.concatenate(found) - whole).max() < 1e-5


@pytest.mark.parametrize("count", [0, 1, HOP - 1, HOP, HOP + 1])
def test_what_is_hardly_there(count: int) -> None:
    assert len(speech_probabilities(np.zeros(count, np.float32))) == -(-count // HOP)


@pytest.fixture
def anew() -> Iterator[None]:
    """The network is opened again, in the test and after it."""
    activity._session.cache_clear()
    yield
    activity._session.cache_clear()


@pytest.mark.usefixtures("anew")
def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", gone)
    with pytest.raises(ModelUnavailable, match=r"silero-vad.*pip install .*requirements-bare"):
        find_speech(noise())


@pytest.mark.usefixtures("anew")
@pytest.mark.parametrize("damage", ["gone", "cut", "one byte"])
def test_a_damaged_network_is_not_asked(
    damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content, path = bytearray(activity.model_path().read_bytes()), tmp_path / "vad.onnx"
    if damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "one byte":
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    monkeypatch.setattr(activity, "model_path", lambda: path)
    with pytest.raises(ModelUnavailable, match=r"vad\.onnx .*install it anew"):
        find_speech(noise())


@pytest.mark.skipif(not (SHARED / "esc10").exists(), reason="needs the sounds of ESC-10")
def test_sounds_around_us_are_nobody() -> None:
    with (SHARED / "esc10" / "labels.csv").open() as file:
        paths = [SHARED / "esc10" / row["path"] for row in csv.DictReader(file)][::6]
    taken = [path.name for path in paths if np.any(speech_frames(decode(path, RATE))[1])]
    assert len(taken) <= 1, taken


@pytest.mark.skipif(not (SHARED / "librispeech").exists(), reason="needs LibriSpeech")
def test_what_people_read_is_kept() -> None:
    with (SHARED / "librispeech" / "speakers.csv").open() as file:
        paths = [SHARED / "librispeech" / row["path"] for row in csv.DictReader(file)][::9]
    kept = voiced = 0
    for path in paths:
        whole, found = speech_frames(decode(path, RATE))
        kept += np.count_nonzero(found)
        voiced += np.count_nonzero(voiced_frames(whole))
    assert kept >= 0.99 * voiced
