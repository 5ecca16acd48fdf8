"""The windowing rule: which stretches of a recording an encoder embeds."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from audiosearch.engine.analyzers.base import EncoderSpec
from audiosearch.engine.arrays import FloatArray


@dataclass(frozen=True)
class Window:
    """A stretch of audio: samples (n,) float32 that begin at sample `start`."""

    start: int
    samples: FloatArray


class WindowCutter:
    """Cuts audio into windows as it passes: one every hop, and one more that ends with the audio.

    Audio no longer than a window is one window, as long as it is; nothing is padded. So all windows
    of one recording are of one length.
    """

    def __init__(self, spec: EncoderSpec) -> None:
        per_ms = spec.sample_rate / 1000
        self._window, self._hop = int(spec.window_ms * per_ms), int(spec.hop_ms * per_ms)
        self._buffer = self._dropped = np.zeros(0, np.float32)
        self._start = 0

    def feed(self, block: FloatArray) -> Iterator[Window]:
        """The windows that are whole with these samples."""
        self._buffer = np.concatenate([self._buffer, block])
        while len(self._buffer) >= self._window:
            window = Window(self._start, self._buffer[: self._window])
            self._dropped, self._buffer = self._buffer[: self._hop], self._buffer[self._hop :]
            self._start += self._hop
            yield window

    def finish(self) -> Iterator[Window]:
        """The window that ends with the audio, unless it has come already."""
        if self._start == 0 and len(self._buffer):
            yield Window(0, self._buffer)
        elif self._start and len(self._buffer) > self._window - self._hop:
            missing = self._window - len(self._buffer)
            tail = np.concatenate([self._dropped[len(self._dropped) - missing :], self._buffer])
            yield Window(self._start - missing, tail)


def windows_of(spec: EncoderSpec, blocks: Iterable[FloatArray]) -> Iterator[Window]:
    """The windows that an encoder embeds of the audio that comes in these blocks, at its rate."""
    cutter = WindowCutter(spec)
    for block in blocks:
        yield from cutter.feed(block)
    yield from cutter.finish()


def spread(count: int, most: int) -> list[int]:
    """At most `most` indices spread evenly over `count` windows, in order."""
    return sorted(set(np.linspace(0, count - 1, min(count, most)).astype(int).tolist()))
