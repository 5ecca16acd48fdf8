"""Several recordings and analyzers at once: nothing lost or mixed up, nobody waits for others."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import soundfile

from audiosearch.engine.analyzers.base import (
    AnalyzerSpec,
    Embeddings,
    Encoded,
    Stream,
    StreamAnalyzer,
    Waveform,
)
from audiosearch.engine.analyzers.clips import embed_clip
from audiosearch.engine.analyzers.pipeline import Analysed, Failed, Pipeline, Recording
from audiosearch.engine.analyzers.waveform.peaks import WaveformPeaks
from audiosearch.engine.arrays import FloatArray
from audiosearch.engine.audio import sandbox
from audiosearch.engine.errors import AudioError, CorruptAudio
from tests.audio_files import noise, tone, write_audio
from tests.fake_encoder import Fake


class Watched(Fake):
    """Counts how many windows came together, and fails for silence."""

    def __init__(self) -> None:
        super().__init__(Path())
        self.begun: list[int] = []
        self.batches: list[int] = []
        self.gate = threading.Event()
        self.gate.set()

    def encode(self, windows: FloatArray) -> Encoded:
        self.begun.append(len(windows))
        self.gate.wait(60)
        self.batches.append(len(windows))
        if not windows.any(axis=1).all():
            raise RuntimeError("silence")
        return super().encode(windows)


class Careless(Fake):
    """Gives what is no `Encoded`, or one of too few rows."""

    def __init__(self, give: Callable[[Encoded], Any]) -> None:
        super().__init__(Path())
        self.give = give

    def encode(self, windows: FloatArray) -> Encoded:
        found: Encoded = self.give(super().encode(windows))
        return found


class Coarse(Fake):
    """Another rate and other windows."""

    spec = replace(Fake.spec, name="coarse", sample_rate=8000, window_ms=4000, hop_ms=4000)


class Fails(StreamAnalyzer):
    """Fails in one of its calls."""

    spec = AnalyzerSpec(
        name="fails",
        version=1,
        kind="waveform",
        title="",
        sample_rate=0,
        licence="",
        source="",
    )

    def __init__(self, call: str) -> None:
        self.call = call

    def begin(self, duration_ms: int, sample_rate: int) -> Stream:
        self.fail("begin")
        return FailingStream(self)

    def fail(self, call: str) -> None:
        if self.call == call:
            raise RuntimeError(call)


class FailingStream(Stream):
    def __init__(self, analyzer: Fails) -> None:
        self.analyzer = analyzer

    def feed(self, block: FloatArray) -> None:
        self.analyzer.fail("feed")

    def finish(self) -> Waveform:
        self.analyzer.fail("finish")
        return Waveform(b"")


class Asked(NamedTuple):
    """What a decoder was asked for."""

    decoder: sandbox._Decoder
    request: dict[str, Any]


@pytest.fixture
def encoder() -> Watched:
    return Watched()


@pytest.fixture
def pipeline() -> Iterator[Pipeline]:
    with Pipeline(streams=3, workers=1) as opened:
        yield opened


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Asked]:
    """What decoders are asked for from now on."""
    seen: list[Asked] = []
    ask = sandbox._Decoder.ask

    def note(self: sandbox._Decoder, request: dict[str, Any], file: int) -> None:
        seen.append(Asked(self, request))
        ask(self, request, file)

    monkeypatch.setattr(sandbox._Decoder, "ask", note)
    return seen


def run(pipeline: Pipeline, count: int) -> dict[int, Analysed | Failed]:
    """Go on until `count` analyses are settled, each once."""
    settled: dict[int, Analysed | Failed] = {}
    deadline = time.monotonic() + 30
    while len(settled) < count and time.monotonic() < deadline:
        for outcome in pipeline.step():
            assert outcome.key not in settled
            settled[outcome.key] = outcome
    return settled


def embeddings(outcome: Analysed | Failed) -> Embeddings:
    assert isinstance(outcome, Analysed), outcome
    assert isinstance(outcome.representation, Embeddings)
    return outcome.representation


def test_each_recording_gets_its_own_windows(
    pipeline: Pipeline, encoder: Watched, tmp_path: Path
) -> None:
    lengths = [5, 23, 5, 12, 31, 5]
    for key, seconds in enumerate(lengths):
        path = write_audio(tmp_path / f"{key}.wav", tone(seconds, 300 * (key + 1)))
        pipeline.add(Recording(path, seconds * 1000, {key: encoder}))
    settled = run(pipeline, len(lengths))
    for key, seconds in enumerate(lengths):
        found = embeddings(settled[key])
        starts = found.spans[:, 0].tolist()
        assert starts == sorted(starts)
        assert found.spans[-1, 1] == seconds * 1000
        assert len(found.embeddings) == len(starts)
        assert found.tag_names == encoder.tag_names
        assert found.tag_probabilities.shape == (len(encoder.tag_names),)
        alone = encoder.encode(tone(5, 300 * (key + 1), sample_rate=16000)[None])
        similarity = found.embeddings @ alone.embeddings[0]
        assert similarity.min() > 0.95


def test_two_encoders_of_one_rate_and_the_waveform_cost_one_decode(
    pipeline: Pipeline, encoder: Watched, tmp_path: Path, asked: list[Asked]
) -> None:
    samples = noise(33)
    samples[: len(samples) // 2] *= 0.1
    path = write_audio(tmp_path / "one.wav", samples)
    analyzers = {1: encoder, 2: Fake(tmp_path), 3: WaveformPeaks(tmp_path)}
    pipeline.add(Recording(path, 33_000, analyzers))
    settled = run(pipeline, 3)
    assert [one.request["sample_rates"] for one in asked] == [[16000]]
    alone = embed_clip(encoder, [sandbox.decode(path, 16000)])
    for key in (1, 2):
        assert np.allclose(embeddings(settled[key]).embeddings, alone.embeddings, atol=1e-6)
        assert np.array_equal(embeddings(settled[key]).spans, alone.spans)
    waveform = settled[3]
    assert isinstance(waveform, Analysed) and isinstance(waveform.representation, Waveform)
    peaks = waveform.representation.peaks
    assert 950 < len(peaks) <= 1000
    assert max(peaks[:480]) < 40 < 200 < max(peaks[520:])


def test_rates_are_resampled_once_each_out_of_one_decode(
    pipeline: Pipeline, encoder: Watched, tmp_path: Path, asked: list[Asked]
) -> None:
    path = write_audio(tmp_path / "one.wav", noise(21))
    coarse = Coarse(tmp_path)
    pipeline.add(Recording(path, 21_000, {1: encoder, 2: coarse, 3: encoder, 4: coarse}))
    settled = run(pipeline, 4)
    assert [one.request["sample_rates"] for one in asked] == [[8000, 16000]]
    for keys, one in (((1, 3), encoder), ((2, 4), coarse)):
        alone = embed_clip(one, sandbox.stream(path, one.spec.sample_rate))
        for key in keys:
            found = embeddings(settled[key])
            assert np.array_equal(found.spans, alone.spans)
            assert np.allclose(found.embeddings, alone.embeddings, atol=1e-6)


def test_the_waveform_alone_needs_no_encoder(pipeline: Pipeline, tmp_path: Path) -> None:
    path = write_audio(tmp_path / "one.wav", tone(3))
    pipeline.add(Recording(path, 3000, {1: WaveformPeaks(tmp_path)}))
    (outcome,) = run(pipeline, 1).values()
    assert isinstance(outcome, Analysed) and isinstance(outcome.representation, Waveform)
    assert min(outcome.representation.peaks[:950]) > 200


@pytest.mark.parametrize("call", ["begin", "feed", "finish"])
def test_an_analyzer_that_fails_leaves_the_others_alone(
    pipeline: Pipeline, encoder: Watched, tmp_path: Path, call: str
) -> None:
    samples = tone(45)
    samples[: 32000 * 11] = 0  # the first window fails in `Watched`, the others would not
    path = write_audio(tmp_path / "one.wav", samples)
    analyzers = {1: encoder, 2: Fails(call), 3: Fake(tmp_path), 4: WaveformPeaks(tmp_path)}
    pipeline.add(Recording(path, 45_000, analyzers))
    settled = run(pipeline, 4)
    for _ in range(3):
        assert pipeline.step(timeout_s=0.1) == [], "told once"
    errors = {key: str(one.error) for key, one in settled.items() if isinstance(one, Failed)}
    assert errors == {1: "silence", 2: call}
    assert embeddings(settled[3]).spans[-1, 1] == 45_000


def test_what_fails_gives_its_room_back(
    pipeline: Pipeline, encoder: Watched, tmp_path: Path
) -> None:
    silent = write_audio(tmp_path / "silent.wav", np.zeros(32000 * 2, np.float32))
    room = pipeline._room._value
    for key in range(2 * room):
        pipeline.add(Recording(silent, 2_000, {key: encoder}))
    assert all(isinstance(one, Failed) for one in run(pipeline, 2 * room).values())
    good = write_audio(tmp_path / "good.wav", tone(300))
    pipeline.add(Recording(good, 300_000, {-1: encoder}))
    assert len(embeddings(run(pipeline, 1)[-1]).spans) == 59


def test_a_file_that_cannot_be_decoded_fails_all_of_its_analyses(
    pipeline: Pipeline, encoder: Watched, tmp_path: Path
) -> None:
    empty = tmp_path / "no-sound.wav"
    soundfile.write(empty, np.zeros(0, np.float32), 16000)
    junk = tmp_path / "junk.wav"
    junk.write_bytes(b"RIFF0000WAVE")
    for at, path in ((0, empty), (10, junk)):
        analyzers = {at: encoder, at + 1: Coarse(tmp_path), at + 2: WaveformPeaks(tmp_path)}
        pipeline.add(Recording(path, 1000, analyzers))
    settled = run(pipeline, 6)
    assert set(settled) == {0, 1, 2, 10, 11, 12}
    for outcome in settled.values():
        assert isinstance(outcome, Failed)
        assert isinstance(outcome.error, CorruptAudio)


def test_a_decoder_that_dies_midway_fails_what_is_open_once(
    pipeline: Pipeline, encoder: Watched, tmp_path: Path, asked: list[Asked]
) -> None:
    encoder.gate.clear()
    path = write_audio(tmp_path / "long.wav", noise(600))
    pipeline.add(Recording(path, 600_000, {1: encoder, 2: WaveformPeaks(tmp_path)}))
    for _ in range(5):
        pipeline.step(timeout_s=0.1)
    asked[0].decoder.process.kill()
    encoder.gate.set()
    settled = run(pipeline, 2)
    assert set(settled) == {1, 2}
    for one in settled.values():
        assert isinstance(one, Failed)
        assert isinstance(one.error, CorruptAudio)
    assert pipeline.step() == []


def test_windows_of_one_length_share_a_batch(
    pipeline: Pipeline, encoder: Watched, tmp_path: Path
) -> None:
    encoder.gate.clear()  # while the first is being encoded, the others are decoded
    for key in range(6):
        path = write_audio(tmp_path / f"{key}.wav", tone(2, 300 * (key + 1)))
        pipeline.add(Recording(path, 2000, {key: encoder}))
    deadline = time.monotonic() + 60
    while sum(encoder.begun) + sum(map(len, pipeline._ready.values())) < 6:
        pipeline.step(timeout_s=0.1)
        assert time.monotonic() < deadline
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
        pipeline.add(Recording(path, 2000, {key: encoder}))
    finished = {one.key: one for _ in range(10) for one in pipeline.step(timeout_s=0.1)}
    encoder.gate.set()
    finished |= run(pipeline, 6 - len(finished))
    errors = {key: one.error for key, one in finished.items() if isinstance(one, Failed)}
    assert set(errors) == {0, 4, 5}
    assert str(errors[0]) == "silence"
    assert isinstance(errors[4], AudioError)
    assert isinstance(errors[5], FileNotFoundError)


@pytest.mark.parametrize(
    "give",
    [
        lambda found: found.embeddings,
        lambda found: Encoded(found.embeddings[1:]),
        lambda found: Encoded(found.embeddings[:, 1:]),
        lambda found: Encoded(found.embeddings, np.zeros((0, 3), np.float32)),
    ],
    ids=["no Encoded", "a row less", "a column less", "no tags"],
)
def test_an_encoder_whose_answer_does_not_fit_fails_its_own(
    pipeline: Pipeline, encoder: Watched, tmp_path: Path, give: Callable[[Encoded], Any]
) -> None:
    path = write_audio(tmp_path / "a.wav", tone(5))
    pipeline.add(Recording(path, 5000, {1: Careless(give), 2: encoder}))
    settled = run(pipeline, 2)
    assert isinstance(settled[1], Failed)
    assert len(embeddings(settled[2]).embeddings)


def test_a_short_recording_overtakes_a_long_one(
    pipeline: Pipeline, encoder: Watched, tmp_path: Path
) -> None:
    long = write_audio(tmp_path / "long.wav", noise(600))
    short = write_audio(tmp_path / "short.wav", tone(2, 440))
    pipeline.add(Recording(long, 600_000, {1: encoder}))
    pipeline.step()
    pipeline.add(Recording(short, 2000, {2: encoder}))
    assert list(run(pipeline, 1)) == [2]
    assert set(run(pipeline, 1)) == {1}


def test_leaving_gives_up_what_is_open(encoder: Watched, tmp_path: Path) -> None:
    path = write_audio(tmp_path / "long.wav", noise(600))
    before = threading.active_count()
    with Pipeline(streams=2, workers=2) as pipeline:
        pipeline.add(Recording(path, 600_000, {1: encoder}))
        pipeline.step()
    assert threading.active_count() == before
