"""Several recordings at once: nothing lost, nothing mixed up, nobody waits for others."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from audiosearch.engine.analyzers.base import Encoded, FloatArray
from audiosearch.engine.analyzers.pipeline import Failed, Heard, Pipeline, Recording
from audiosearch.engine.errors import AudioError
from tests.audio_files import noise, tone, write_audio
from tests.fake_encoder import Fake


class Watched(Fake):
    """Counts how many windows came together, and fails for silence."""

    def __init__(self) -> None:
        super().__init__(Path())
        self.batches: list[int] = []
        self.gate = threading.Event()
        self.gate.set()

    def encode(self, windows: FloatArray) -> Encoded:
        self.gate.wait(10)
        self.batches.append(len(windows))
        if not windows.any(axis=1).all():
            raise RuntimeError("silence")
        return super().encode(windows)


@pytest.fixture
def encoder() -> Watched:
    return Watched()


@pytest.fixture
def pipeline() -> Iterator[Pipeline]:
    with Pipeline(streams=3, workers=1) as opened:
        yield opened


def run(pipeline: Pipeline, count: int) -> dict[int, Heard | Failed]:
    """Go on until `count` recordings are finished."""
    finished: dict[int, Heard | Failed] = {}
    deadline = time.monotonic() + 30
    while len(finished) < count and time.monotonic() < deadline:
        finished.update({outcome.key: outcome for outcome in pipeline.step()})
    return finished


def test_each_recording_gets_its_own_windows(
    pipeline: Pipeline, encoder: Watched, tmp_path: Path
) -> None:
    lengths = [5, 23, 5, 12, 31, 5]
    for key, seconds in enumerate(lengths):
        path = write_audio(tmp_path / f"{key}.wav", tone(seconds, 300 * (key + 1)))
        pipeline.add(Recording(key, path, seconds * 1000, encoder))
    finished = run(pipeline, len(lengths))
    for key, seconds in enumerate(lengths):
        heard = finished[key]
        assert isinstance(heard, Heard)
        starts = heard.spans[:, 0].tolist()
        assert starts == sorted(starts)
        assert heard.spans[-1, 1] == seconds * 1000
        assert len(heard.embeddings) == len(starts)
        assert heard.tag_probabilities.shape == (len(encoder.tag_names),)
        alone = encoder.encode(tone(5, 300 * (key + 1), sample_rate=16000)[None])
        similarity = heard.embeddings @ alone.embeddings[0]
        assert similarity.min() > 0.95


def test_windows_of_one_length_share_a_batch(
    pipeline: Pipeline, encoder: Watched, tmp_path: Path
) -> None:
    encoder.gate.clear()  # while the first is being encoded, the others are decoded
    for key in range(6):
        path = write_audio(tmp_path / f"{key}.wav", tone(2, 300 * (key + 1)))
        pipeline.add(Recording(key, path, 2000, encoder))
    for _ in range(10):
        pipeline.step(timeout_s=0.1)
    encoder.gate.set()
    assert len(run(pipeline, 6)) == 6
    assert max(encoder.batches) > 1
    assert sum(encoder.batches) == 6


def test_one_that_fails_fails_alone(pipeline: Pipeline, encoder: Watched, tmp_path: Path) -> None:
    encoder.gate.clear()
    silent = write_audio(tmp_path / "silent.wav", np.zeros(32000, np.float32))
    good = [write_audio(tmp_path / f"{n}.wav", tone(2, 300 + n)) for n in range(3)]
    junk = tmp_path / "junk.wav"
    junk.write_bytes(b"RIFF0000WAVE")
    for key, path in enumerate([silent, *good, junk, tmp_path / "gone.wav"]):
        pipeline.add(Recording(key, path, 2000, encoder))
    finished = {one.key: one for _ in range(10) for one in pipeline.step(timeout_s=0.1)}
    encoder.gate.set()
    finished |= run(pipeline, 6 - len(finished))
    errors = {key: one.error for key, one in finished.items() if isinstance(one, Failed)}
    assert set(errors) == {0, 4, 5}
    assert str(errors[0]) == "silence"
    assert isinstance(errors[4], AudioError)
    assert isinstance(errors[5], FileNotFoundError)


def test_a_short_recording_overtakes_a_long_one(
    pipeline: Pipeline, encoder: Watched, tmp_path: Path
) -> None:
    long = write_audio(tmp_path / "long.wav", noise(600))
    short = write_audio(tmp_path / "short.wav", tone(2, 440))
    pipeline.add(Recording(1, long, 600_000, encoder))
    pipeline.step()
    pipeline.add(Recording(2, short, 2000, encoder))
    assert list(run(pipeline, 1)) == [2]
    assert set(run(pipeline, 1)) == {1}


def test_leaving_gives_up_what_is_open(encoder: Watched, tmp_path: Path) -> None:
    path = write_audio(tmp_path / "long.wav", noise(600))
    before = threading.active_count()
    with Pipeline(streams=2, workers=2) as pipeline:
        pipeline.add(Recording(1, path, 600_000, encoder))
        pipeline.step()
    assert threading.active_count() == before
