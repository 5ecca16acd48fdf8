"""Analyzers: known by name, loaded once, and one clip embedded as a recording is."""

import threading
from pathlib import Path

import numpy as np
import pytest

from audiosearch.engine.analyzers import registry
from audiosearch.engine.analyzers.base import AnalyzerSpec, Encoded, EncoderSpec, StreamAnalyzer
from audiosearch.engine.analyzers.clips import BATCH_WINDOWS, embed_clip
from audiosearch.engine.arrays import FloatArray
from audiosearch.engine.errors import CorruptAudio, ModelUnavailable
from tests.audio_files import noise
from tests.fake_encoder import Fake

RATE = Fake.spec.sample_rate


class Slow(Fake):
    """Counts how often it is loaded."""

    loaded = 0
    entered = threading.Event()

    def __init__(self, models_dir: Path, *, threads: int = 0) -> None:
        super().__init__(models_dir)
        self.entered.wait(0.2)  # so that the other threads come meanwhile
        type(self).loaded += 1


@pytest.mark.parametrize("name", registry.ANALYZERS)
def test_every_analyzer_is_declared_under_its_own_name(name: str) -> None:
    spec = registry.analyzer_spec(name)
    assert spec.name == name or name.startswith("fake")
    assert spec.space == f"{spec.name}-v{spec.version}"
    assert name in registry.analyzer_names()
    assert name in registry.analyzer_names(spec.kind)
    is_encoder = isinstance(spec, EncoderSpec)
    assert is_encoder != issubclass(registry.analyzer_class(name), StreamAnalyzer)


def test_kinds_keep_analyzers_apart() -> None:
    assert registry.analyzer_names("waveform") == ["waveform"]
    assert {"spectral", "panns_cnn14"} <= set(registry.analyzer_names("embedding"))
    speakers = registry.analyzer_names("speaker")
    assert {"resemblyzer", "ecapa", "wavlm"} <= set(speakers)
    assert not set(speakers) & set(registry.analyzer_names("embedding"))
    assert registry.analyzer_names("nothing") == []


def test_an_unknown_name_is_answered_with_those_that_are_known(tmp_path: Path) -> None:
    for call in (registry.analyzer_spec, registry.analyzer_class):
        with pytest.raises(ModelUnavailable, match=r'"nonsense".*spectral'):
            call("nonsense")
    with pytest.raises(ModelUnavailable, match="nonsense"):
        registry.load_analyzer("nonsense", tmp_path)


def test_what_gives_no_embeddings_is_no_encoder(tmp_path: Path) -> None:
    assert type(registry.analyzer_spec("waveform")) is AnalyzerSpec
    with pytest.raises(ModelUnavailable, match="no embeddings"):
        registry.load_encoder("waveform", tmp_path)


def test_threads_that_want_one_analyzer_load_it_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(registry.ANALYZERS, "slow", f"{__name__}.Slow")
    found = []

    def load() -> None:
        found.append(registry.load_analyzer("slow", tmp_path))

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Slow.loaded == 1
    assert len({id(one) for one in found}) == 1


class Counting(Fake):
    """Remembers the sizes of its batches."""

    def __init__(self) -> None:
        super().__init__(Path())
        self.batches: list[int] = []

    def encode(self, windows: FloatArray) -> Encoded:
        self.batches.append(len(windows))
        return super().encode(windows)


def test_a_clip_is_embedded_in_batches_whatever_its_blocks() -> None:
    samples, encoder = noise(63, sample_rate=RATE), Counting()
    found = embed_clip(encoder, np.array_split(samples, 50))
    starts = [*range(0, 55_000, 5000), 53_000]
    assert found.spans.tolist() == [[start, start + 10_000] for start in starts]
    assert encoder.batches == [BATCH_WINDOWS, len(starts) - BATCH_WINDOWS]
    cut = np.stack([samples[start * RATE // 1000 :][: 10 * RATE] for start in starts])
    alone = encoder.encode(cut)
    assert np.allclose(found.embeddings, alone.embeddings, atol=1e-6)
    assert found.tag_names == encoder.tag_names
    assert alone.tag_probabilities is not None
    assert np.allclose(found.tag_probabilities, alone.tag_probabilities.max(axis=0), atol=1e-6)


def test_of_a_long_clip_so_many_windows_spread_evenly() -> None:
    encoder = Counting()
    found = embed_clip(encoder, [noise(300, sample_rate=RATE)], most=5)
    assert sum(encoder.batches) == 5
    starts = found.spans[:, 0]
    assert (starts[0], starts[-1]) == (0, 290_000)
    assert np.ptp(np.diff(starts)) <= 5000
    short = embed_clip(encoder, [noise(2, sample_rate=RATE)], most=5)
    assert short.spans.tolist() == [[0, 2000]]


def test_no_samples_are_no_clip() -> None:
    for blocks in ([], [np.zeros(0, np.float32)]):
        with pytest.raises(CorruptAudio):
            embed_clip(Counting(), blocks)
