"""A sound to be recognised: its spectrogram, its peaks, and the hashes that are looked up."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audiosearch.engine.analyzers.base import Representation
from audiosearch.engine.analyzers.landmarks.hashes import HASHES, NEIGHBOURS, hash_pairs
from audiosearch.engine.analyzers.landmarks.peaks import find_peaks
from audiosearch.engine.analyzers.landmarks.spectrum import (
    BINS,
    HIGH_BIN,
    LOW_BIN,
    SAMPLE_RATE,
    contrast,
    log_spectrum,
)
from audiosearch.engine.arrays import FloatArray
from audiosearch.engine.indexes.landmarks_base import LandmarkQuery

PEAKS_PER_SECOND, FAN = 40, 8
"""Denser than what is indexed: noise hides some of a recording's peaks, and adds others."""
NEIGHBOUR_WEIGHT = 0.7
LONGEST_S = 30
LOUDNESS = 0.1
"""Root mean square that a query is brought to, so that rounding is as far below as it was."""


@dataclass(frozen=True)
class Rung:
    """How a query differs from the recording: frequencies times `pitch`, played `speed` as fast."""

    pitch: float = 1.0
    speed: float = 1.0


AS_IT_IS = Rung()


@dataclass(frozen=True)
class RecordingQuery(Representation):
    """What verification and the ladder of speeds need of a sound.

    spectrum, contrasts: (frames, BINS), natural logarithms and their local contrast; peak_frames:
    (n,) int32; peak_bins: (n,) float32, between the FFT's bins; begin_ms: where in the sound this
    begins, of one that is longer than LONGEST_S; level: its root mean square in dBFS; seconds: its
    length.
    """

    spectrum: FloatArray
    contrasts: FloatArray
    peak_frames: NDArray[np.int32]
    peak_bins: FloatArray
    begin_ms: int
    level: float
    seconds: float

    @classmethod
    def from_samples(cls, samples: FloatArray) -> "RecordingQuery":
        """Of mono sound at SAMPLE_RATE, (n,) float32; of a long one, its loudest LONGEST_S."""
        begin = _loudest(samples, LONGEST_S * SAMPLE_RATE)
        own = samples[begin : begin + LONGEST_S * SAMPLE_RATE]
        loudness = float(np.sqrt(np.mean(np.square(own, dtype=np.float64)))) if len(own) else 0.0
        spectrum = log_spectrum(own * np.float32(LOUDNESS / max(loudness, 1e-6)))
        contrasts = contrast(spectrum)
        frames, bins = fine_peaks(spectrum, slice(0, len(spectrum)), contrasts=contrasts)
        return cls(
            spectrum,
            contrasts,
            frames,
            bins,
            begin * 1000 // SAMPLE_RATE,
            float(20 * np.log10(max(loudness, 1e-10))),
            len(own) / SAMPLE_RATE,
        )

    @property
    def length(self) -> int:
        """In frames."""
        return len(self.spectrum)

    def hashed(self, rung: Rung = AS_IT_IS, *, neighbours: bool = True) -> LandmarkQuery:
        """What to look up for a recording from which this differs by a rung of the ladder."""
        peaks = self.peak_frames, self.peak_bins
        return hash_query(*peaks, self.length, rung, neighbours=neighbours)


def hash_query(
    peak_frames: NDArray[np.int32],
    peak_bins: FloatArray,
    length: int,
    rung: Rung = AS_IT_IS,
    *,
    neighbours: bool = True,
) -> LandmarkQuery:
    """What to look up for these peaks of a query of `length` frames, with those of near pairs."""
    frames = np.rint(peak_frames * rung.speed).astype(np.int32)
    bins = np.rint(peak_bins / rung.pitch).astype(np.int32)
    inside = (bins >= LOW_BIN) & (bins < HIGH_BIN)
    frames, bins = frames[inside], bins[inside]
    order = np.lexsort((bins, frames))
    exact, firsts = hash_pairs(frames[order], bins[order], FAN)
    hashes, weights = exact.astype(np.int64), np.ones(len(exact), np.float32)
    if neighbours:
        near = [hashes + step for step in NEIGHBOURS]
        hashes = np.concatenate([hashes, *near])
        weights = np.full(len(hashes), NEIGHBOUR_WEIGHT, np.float32)
        weights[: len(exact)] = 1
        firsts = np.tile(firsts, 1 + len(NEIGHBOURS))
    valid = (hashes >= 0) & (hashes < HASHES)
    return LandmarkQuery(hashes[valid], firsts[valid], weights[valid], round(length * rung.speed))


def fine_peaks(
    spectrum: FloatArray, own: slice, *, first_frame: int = 0, contrasts: FloatArray | None = None
) -> tuple[NDArray[np.int32], FloatArray]:
    """Frames of the peaks, and bins by a parabola through each and its neighbours.

    What is taken is as in `find_peaks`.
    """
    if not len(spectrum):
        return np.zeros(0, np.int32), np.zeros(0, np.float32)
    peaks = find_peaks(
        spectrum, own, PEAKS_PER_SECOND, first_frame=first_frame, contrasts=contrasts
    )
    at = np.clip(peaks.bins - LOW_BIN, 1, BINS - 2)
    rows = peaks.frames - first_frame
    below, here, above = (spectrum[rows, at + step] for step in (-1, 0, 1))
    bend = below - 2 * here + above
    bend = np.where(np.abs(bend) > 1e-6, bend, -1.0)
    aside = np.clip(0.5 * (below - above) / bend, -0.5, 0.5)
    return peaks.frames, (peaks.bins + aside).astype(np.float32)


def _loudest(samples: FloatArray, length: int) -> int:
    """Where the `length` samples with most energy begin, in whole seconds."""
    if len(samples) <= length:
        return 0
    whole = len(samples) // SAMPLE_RATE
    seconds = samples[: whole * SAMPLE_RATE].reshape(whole, SAMPLE_RATE)
    energy = np.cumsum([0.0, *np.square(seconds, dtype=np.float64).sum(axis=1)])
    window = length // SAMPLE_RATE
    return int(np.argmax(energy[window:] - energy[:-window])) * SAMPLE_RATE
