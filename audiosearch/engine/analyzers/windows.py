"""What is made of decoded audio as it passes: windows to encode, and the peaks of the waveform."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from audiosearch.engine.analyzers.base import FloatArray

PEAK_BUCKETS = 1000


@dataclass(frozen=True)
class Window:
    """A stretch of audio: samples (n,) float32 that begin at sample `start`."""

    start: int
    samples: FloatArray


def cut_windows(blocks: Iterable[FloatArray], window: int, hop: int) -> Iterator[Window]:
    """Windows of `window` samples every `hop`, and one more that ends with the audio.

    Audio no longer than a window comes as one window, as long as it is; nothing is padded.
    """
    buffer = np.zeros(0, np.float32)
    dropped = buffer
    start = 0
    for block in blocks:
        buffer = np.concatenate([buffer, block])
        while len(buffer) >= window:
            yield Window(start, buffer[:window])
            dropped, buffer = buffer[:hop], buffer[hop:]
            start += hop
    if start == 0 and len(buffer):
        yield Window(0, buffer)
    elif start and len(buffer) > window - hop:
        missing = window - len(buffer)
        tail = np.concatenate([dropped[len(dropped) - missing :], buffer])
        yield Window(start - missing, tail)


class PeakMeter:
    """The waveform in at most 1,000 absolute peaks, one byte each, measured as the audio passes."""

    def __init__(self, expected_samples: int) -> None:
        self._per_bucket = max(1, -(-expected_samples // PEAK_BUCKETS))
        self._buckets = np.zeros(PEAK_BUCKETS, np.float32)
        self._seen = 0

    def pass_through(self, blocks: Iterable[FloatArray]) -> Iterator[FloatArray]:
        """Yield the blocks unchanged while measuring them."""
        for block in blocks:
            index = (self._seen + np.arange(len(block))) // self._per_bucket
            np.maximum.at(self._buckets, np.minimum(index, PEAK_BUCKETS - 1), np.abs(block))
            self._seen += len(block)
            yield block

    def peaks(self) -> bytes:
        """One byte per bucket: 0 is silence, 255 the loudest sample of this audio."""
        used = min(PEAK_BUCKETS, -(-self._seen // self._per_bucket))
        values = self._buckets[:used]
        loudest = float(values.max(initial=0.0))
        return (values * (255 / loudest if loudest else 0)).round().astype(np.uint8).tobytes()
