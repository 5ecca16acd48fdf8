"""A long sound as it passes: blocks of some seconds with their peaks and contrasts.

Only what is around the block that is looked at is held, whatever the length of the whole.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audiosearch.engine.analyzers.landmarks.peaks import CONTEXT
from audiosearch.engine.analyzers.landmarks.spectrum import (
    FFT,
    HOP,
    SAMPLE_RATE,
    contrast,
    frame_count,
    highest_around,
    log_spectrum,
)
from audiosearch.engine.arrays import FloatArray
from audiosearch.engine.matchers.recording.query import fine_peaks
from audiosearch.engine.matchers.recording.verifying import uniform

BLOCK_S = 5


@dataclass(frozen=True)
class Block:
    """Frames of the sound from `first` on.

    contrasts: (frames, BINS), the highest of each point and its neighbours, freed of how loud the
    frame is; peak_frames: (n,) int32, in the whole sound, and peak_bins: (n,) float32; deviation:
    how much the levels of its median bin vary, in nepers; level: root mean square in dBFS.
    """

    first: int
    contrasts: FloatArray
    peak_frames: NDArray[np.int32]
    peak_bins: FloatArray
    deviation: float
    level: float

    @property
    def end(self) -> int:
        return self.first + len(self.contrasts)


class BlockStream:
    """Cuts a sound into blocks of BLOCK_S; each begins with a second, as ranks are by second."""

    def __init__(self) -> None:
        self._held = np.zeros(0, np.float32)
        self._dropped = 0
        self._number = 0

    @property
    def seen(self) -> int:
        """Samples so far."""
        return self._dropped + len(self._held)

    def feed(self, samples: FloatArray) -> Iterator[Block]:
        """The blocks that are whole with these samples, (n,) float32 mono at SAMPLE_RATE."""
        self._held = np.concatenate([self._held, samples])
        while frame_count(self.seen) >= _first_frame(self._number + 1) + CONTEXT:
            yield self._cut(_first_frame(self._number + 1))

    def finish(self) -> Iterator[Block]:
        """The blocks that are left at the end."""
        length = frame_count(self.seen)
        while _first_frame(self._number) < length:
            yield self._cut(min(_first_frame(self._number + 1), length))

    def _cut(self, end: int) -> Block:
        begin = _first_frame(self._number)
        first = max(0, begin - CONTEXT)
        last = min(end + CONTEXT, frame_count(self.seen))
        around = self._held[first * HOP - self._dropped : (last - 1) * HOP + FFT - self._dropped]
        block = _block(around, first, slice(begin - first, end - first))
        self._number += 1
        keep_from = max(0, end - CONTEXT) * HOP
        self._held = self._held[keep_from - self._dropped :].copy()
        self._dropped = keep_from
        return block


def evidence_of_blocks(blocks: list[Block]) -> FloatArray:
    """(frames, BINS) of neighbouring blocks, -0.5 to 0.5; as `verifying.evidence_of`."""
    return uniform(np.concatenate([block.contrasts for block in blocks]))


def _block(samples: FloatArray, first: int, own: slice) -> Block:
    spectrum = log_spectrum(samples)
    contrasts = contrast(spectrum)
    frames, bins = fine_peaks(spectrum, own, first_frame=first, contrasts=contrasts)
    widened = highest_around(contrasts, 1, 1)[own]
    widened -= widened.mean(axis=1, keepdims=True)
    heard = samples[own.start * HOP : (own.stop - 1) * HOP + FFT]
    loudness = float(np.sqrt(np.mean(np.square(heard, dtype=np.float64))))
    deviation = float(np.median(spectrum[own].std(axis=0)))
    level = float(20 * np.log10(max(loudness, 1e-10)))
    return Block(first + own.start, widened, frames, bins, deviation, level)


def _first_frame(number: int) -> int:
    """The first frame that begins in this block."""
    return -(-number * BLOCK_S * SAMPLE_RATE // HOP)
