"""The built-in encoder: a fixed descriptor of log-mel, MFCC, modulation and harmonic statistics.

There are no weights to fetch. The constants in `spectral.npz` (centre, scale and projection of the
statistics) were fitted once, without labels, by `benchmarks/fit_spectral.py`.
"""

from functools import lru_cache
from pathlib import Path

import numpy as np

from audiosearch.engine.analyzers.base import Encoded, Encoder, EncoderSpec
from audiosearch.engine.analyzers.embedding.features import SAMPLE_RATE, describe
from audiosearch.engine.arrays import FloatArray

CONSTANTS = Path(__file__).with_name("spectral.npz")
SQUASH = 3.0
DIMENSION = 128


class Spectral(Encoder):
    """Statistics of a sound, squashed, whitened against what cuts of one recording vary in."""

    spec = EncoderSpec(
        name="spectral",
        version=1,
        title="Built-in spectral descriptor",
        dimension=DIMENSION,
        sample_rate=SAMPLE_RATE,
        min_ms=100,
        window_ms=10_000,
        hop_ms=5_000,
        licence="Apache-2.0",
        source="docs/encoders.md",
    )

    def __init__(self, models_dir: Path, *, threads: int = 0) -> None:
        self._centre, self._scale, self._projection, self._offset = _constants()

    def encode(self, windows: FloatArray) -> Encoded:
        rows = np.stack([flatten(describe(window)) for window in windows])
        squashed = squash((rows - self._centre) / self._scale)
        projected = squashed @ self._projection - self._offset
        lengths = np.linalg.norm(projected, axis=1, keepdims=True)
        return Encoded((projected / np.maximum(lengths, 1e-9)).astype(np.float32))


def flatten(blocks: dict[str, FloatArray]) -> FloatArray:
    """The blocks of one sound as one row."""
    return np.concatenate(list(blocks.values())).astype(np.float32)


def squash(scaled: FloatArray) -> FloatArray:
    """Keep single wild statistics from deciding: soft limit at three deviations."""
    return SQUASH * np.tanh(scaled / SQUASH)


@lru_cache(maxsize=1)
def _constants() -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    with np.load(CONSTANTS) as kept:
        return kept["centre"], kept["scale"], kept["projection"], kept["offset"]
