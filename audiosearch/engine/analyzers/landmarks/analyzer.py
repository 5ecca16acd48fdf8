"""Landmarks: the spectral peaks by which a recording is recognised.

After A. Wang, An industrial-strength audio search algorithm, ISMIR 2003; see docs/recognition.md.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audiosearch.engine.analyzers.base import AnalyzerSpec, Stream, StreamAnalyzer
from audiosearch.engine.analyzers.landmarks.peaks import CONTEXT, Peaks, find_peaks
from audiosearch.engine.analyzers.landmarks.representation import Landmarks
from audiosearch.engine.analyzers.landmarks.spectrum import (
    FFT,
    HOP,
    SAMPLE_RATE,
    frame_count,
    log_spectrum,
)
from audiosearch.engine.arrays import FloatArray

PEAKS_PER_SECOND = 25
PART_SECONDS = 32


class LandmarkAnalyzer(StreamAnalyzer):
    """25 peaks a second, found in parts of half a minute, whatever blocks the sound comes in."""

    representation = Landmarks
    spec = AnalyzerSpec(
        name="landmarks",
        version=1,
        kind="landmarks",
        title="Spectral landmarks",
        sample_rate=SAMPLE_RATE,
        licence="Apache-2.0",
        source="docs/recognition.md",
    )

    def __init__(self, models_dir: Path, *, threads: int = 0) -> None:
        """Nothing is loaded."""

    def begin(self, duration_ms: int, sample_rate: int) -> "LandmarkStream":
        return LandmarkStream()


class LandmarkStream(Stream):
    """Holds the samples of one part and of what is around it.

    Parts begin with a second, so that the ranks within a second need no other part.
    """

    def __init__(self) -> None:
        self._blocks: list[FloatArray] = []
        self._dropped = 0
        self._seen = 0
        self._part = 0
        self._found: list[Peaks] = []

    def feed(self, block: FloatArray) -> None:
        self._blocks.append(np.array(block, np.float32))
        self._seen += len(block)
        while frame_count(self._seen) >= _first_frame(self._part + 1) + CONTEXT:
            self._analyse_part(_first_frame(self._part + 1))

    def finish(self) -> Landmarks:
        length = frame_count(self._seen)
        while _first_frame(self._part) < length:
            self._analyse_part(min(_first_frame(self._part + 1), length))
        self._blocks.clear()
        return Landmarks(
            _joined([peaks.frames for peaks in self._found]),
            _joined([peaks.bins for peaks in self._found]).astype(np.uint16),
            _joined([peaks.ranks for peaks in self._found]).astype(np.uint8),
            np.array([length], np.int32),
        )

    def _analyse_part(self, end: int) -> None:
        begin = _first_frame(self._part)
        first = max(0, begin - CONTEXT)
        last = min(end + CONTEXT, frame_count(self._seen))
        samples = np.concatenate(self._blocks)
        around = samples[first * HOP - self._dropped : (last - 1) * HOP + FFT - self._dropped]
        own = slice(begin - first, end - first)
        peaks = find_peaks(log_spectrum(around), own, PEAKS_PER_SECOND, first_frame=first)
        self._found.append(peaks)
        self._part += 1
        keep_from = max(0, _first_frame(self._part) - CONTEXT) * HOP
        self._blocks = [samples[keep_from - self._dropped :].copy()]
        self._dropped = keep_from


def _first_frame(part: int) -> int:
    """The first frame that begins in this part."""
    return -(-part * PART_SECONDS * SAMPLE_RATE // HOP)


def _joined(arrays: list[NDArray[np.int32]]) -> NDArray[np.int32]:
    return np.concatenate([*arrays, np.zeros(0, np.int32)])
