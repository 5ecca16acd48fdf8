"""Peaks of a spectrogram: points whose contrast is the highest around, ranked by second."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audiosearch.engine.analyzers.landmarks.spectrum import (
    COLOUR_FRAMES,
    FLOOR,
    HOP,
    LOW_BIN,
    SAMPLE_RATE,
    contrast,
    highest_around,
)
from audiosearch.engine.arrays import FloatArray

REACH_FRAMES, REACH_BINS = 5, 8
"""A peak is the highest within 116 ms and 86 Hz to either side."""
FAINTEST = float(np.log(2e-5))
"""Against the loudest point of the three seconds around; below it there is only rounding."""
ROUNDING = float(np.log(2 * FLOOR))
CONTEXT = COLOUR_FRAMES // 2 + REACH_FRAMES
"""Frames to either side that decide whether a point is a peak, and how high."""


@dataclass(frozen=True)
class Peaks:
    """Ascending by frame, then bin.

    frames, bins: (n,) int32, bins of the whole FFT; ranks: (n,) int32, by contrast within the
    second.
    """

    frames: NDArray[np.int32]
    bins: NDArray[np.int32]
    ranks: NDArray[np.int32]


def find_peaks(
    spectrum: FloatArray,
    own: slice,
    per_second: int,
    *,
    first_frame: int = 0,
    contrasts: FloatArray | None = None,
) -> Peaks:
    """The `per_second` highest peaks of each second of a recording.

    spectrum: (frames, BINS) natural logarithms, from frame `first_frame` of the recording on; of
    these, `own` are looked at, and the others are what is around. contrasts: of the spectrum, where
    they are known.
    """
    from scipy.ndimage import maximum_filter1d

    contrasts = contrast(spectrum) if contrasts is None else contrasts
    highest = highest_around(contrasts, REACH_FRAMES, REACH_BINS)
    loudest = maximum_filter1d(spectrum.max(axis=1), COLOUR_FRAMES, mode="nearest")
    faintest = np.maximum(loudest + FAINTEST, ROUNDING)
    is_peak = (contrasts >= highest) & (spectrum > faintest[:, None])
    frames, bins = np.nonzero(is_peak[own])
    frames += own.start
    heights = contrasts[frames, bins]
    frames += first_frame
    ranks = _ranks(frames * HOP // SAMPLE_RATE, heights)
    kept = ranks < per_second
    return Peaks(
        frames[kept].astype(np.int32),
        (bins[kept] + LOW_BIN).astype(np.int32),
        ranks[kept].astype(np.int32),
    )


def _ranks(groups: NDArray[np.int64], heights: FloatArray) -> NDArray[np.int64]:
    """Of each within its group, the highest 0; `groups` ascend."""
    order = np.lexsort((-heights, groups))
    sizes = np.bincount(groups - groups[0]) if len(groups) else np.zeros(0, np.int64)
    begins = np.repeat(np.cumsum(sizes) - sizes, sizes)
    ranks = np.empty(len(groups), np.int64)
    ranks[order] = np.arange(len(groups)) - begins
    return ranks
