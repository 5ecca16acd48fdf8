"""The waveform in at most 1,000 peaks, to be drawn."""

from pathlib import Path

import numpy as np

from audiosearch.engine.analyzers.base import AnalyzerSpec, Stream, StreamAnalyzer, Waveform
from audiosearch.engine.arrays import FloatArray

BUCKETS = 1000


class WaveformPeaks(StreamAnalyzer):
    """The highest absolute sample of each thousandth of a recording."""

    representation = Waveform
    spec = AnalyzerSpec(
        name="waveform",
        version=1,
        kind="waveform",
        title="Waveform peaks",
        sample_rate=0,
        licence="Apache-2.0",
        source="docs/encoders.md",
    )

    def __init__(self, models_dir: Path, *, threads: int = 0) -> None:
        """Nothing is loaded."""

    def begin(self, duration_ms: int, sample_rate: int) -> "PeakMeter":
        return PeakMeter(duration_ms * sample_rate // 1000)


class PeakMeter(Stream):
    """Peaks in buckets of one width; what comes beyond `expected_samples` raises the last one."""

    def __init__(self, expected_samples: int) -> None:
        self._per_bucket = max(1, -(-expected_samples // BUCKETS))
        self._buckets = np.zeros(BUCKETS, np.float32)
        self._seen = 0

    def feed(self, block: FloatArray) -> None:
        index = (self._seen + np.arange(len(block))) // self._per_bucket
        np.maximum.at(self._buckets, np.minimum(index, BUCKETS - 1), np.abs(block))
        self._seen += len(block)

    def finish(self) -> Waveform:
        used = min(BUCKETS, -(-self._seen // self._per_bucket))
        values = self._buckets[:used]
        loudest = float(values.max(initial=0.0))
        scaled = values * (255 / loudest if loudest else 0)
        return Waveform(scaled.round().astype(np.uint8).tobytes())
