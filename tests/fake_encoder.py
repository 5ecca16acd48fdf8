"""A small deterministic encoder for tests: how loud each of 32 frequency bands is."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from audiosearch.engine.analyzers.base import Encoded, Encoder, EncoderSpec, FloatArray

BANDS = 32


class Fake(Encoder):
    """Hears the spectrum only; tags by the loudest quarter of it."""

    spec = EncoderSpec(
        name="fake",
        version=1,
        title="Fake encoder for tests",
        dimension=BANDS,
        sample_rate=16000,
        min_ms=100,
        window_ms=10_000,
        hop_ms=5_000,
        licence="Apache-2.0",
        source="",
    )
    tag_names = ("Low", "Middle", "High", "Highest")

    def __init__(self, models_dir: Path, *, threads: int = 0) -> None:
        self.models_dir = models_dir

    def encode(self, windows: FloatArray) -> Encoded:
        usable = windows[:, : windows.shape[1] // 1024 * 1024]
        frames = usable.reshape(len(windows), -1, 1024) * np.hanning(1024)
        power = (np.abs(np.fft.rfft(frames)) ** 2).mean(axis=1)
        edges = np.linspace(0, power.shape[1], BANDS + 1).astype(int)
        bands = np.stack([power[:, a:b].sum(axis=1) for a, b in pairwise(edges)], 1)
        bands = np.sqrt(bands) + 1e-9
        embeddings = bands / np.linalg.norm(bands, axis=1, keepdims=True)
        quarters = bands.reshape(len(bands), 4, -1).sum(axis=2)
        tags = quarters / quarters.sum(axis=1, keepdims=True)
        return Encoded(embeddings.astype(np.float32), tags.astype(np.float32))


class FakeTwo(Fake):
    """A second space for tests that switch encoders."""

    spec = replace(Fake.spec, name="fake_two")
