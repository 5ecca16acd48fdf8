"""A toy analyzer: how loud each second of a recording is."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audiosearch.engine.analyzers.base import AnalyzerSpec, Representation, Stream, StreamAnalyzer
from audiosearch.engine.arrays import FloatArray

RATE = 8_000


@dataclass(frozen=True)
class Loudness(Representation):
    """levels: (seconds,) float32, root mean square of each second, in 0..1."""

    kept = ("levels",)

    levels: FloatArray


class LoudnessAnalyzer(StreamAnalyzer):
    representation = Loudness
    spec = AnalyzerSpec(
        name="loudness",
        version=1,
        kind="loudness",
        title="Loudness by the second",
        sample_rate=RATE,
        licence="Apache-2.0",
        source="docs/extending.md",
    )

    def __init__(self, models_dir: Path, *, threads: int = 0) -> None:
        """There is no model to load."""

    def begin(self, duration_ms: int, sample_rate: int) -> "LoudnessStream":
        return LoudnessStream()


class LoudnessStream(Stream):
    def __init__(self) -> None:
        self._blocks: list[FloatArray] = []

    def feed(self, block: FloatArray) -> None:
        self._blocks.append(block)

    def finish(self) -> Loudness:
        samples = np.concatenate(self._blocks)
        seconds = np.array_split(samples, range(RATE, len(samples), RATE))
        return Loudness(np.array([np.sqrt(np.mean(s**2)) for s in seconds], np.float32))
