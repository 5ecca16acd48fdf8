"""The spectrogram that landmarks are found in, and its local contrast.

SciPy is loaded with the first sound: many processes want the constants alone.
"""

import numpy as np

from audiosearch.engine.arrays import FloatArray

SAMPLE_RATE = 11025
FFT = 1024
HOP = 256
LOW_BIN, HIGH_BIN = 6, 464
"""Bins of 10.8 Hz that are looked at: 65 to 5,000 Hz. What lies below 150 Hz is what noise hides
least of bass-heavy, sparse music."""
BINS = HIGH_BIN - LOW_BIN
FLOOR = 2e-4
"""Added to magnitudes: what the rounding to 16 bits makes of silence."""
COLOUR_FRAMES, COLOUR_BINS, COLOUR_SHARE = 129, 31, 0.7
"""Three seconds by 330 Hz: what is around a point, most of which its contrast leaves out."""
BLOCK_FRAMES = 128
"""Transformed at once; more leave the processor's cache, and take twice the time."""


def frame_count(samples: int) -> int:
    """How many whole frames there are in so many samples."""
    return max(0, 1 + (samples - FFT) // HOP)


def frames_to_ms(frames: float) -> int:
    """When a frame begins, in ms."""
    return round(frames * HOP * 1000 / SAMPLE_RATE)


def log_spectrum(samples: FloatArray) -> FloatArray:
    """(frames, BINS) natural logarithms of the magnitudes of mono sound at SAMPLE_RATE."""
    from scipy import fft

    count = frame_count(len(samples))
    if not count:
        return np.zeros((0, BINS), np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(samples, FFT)[::HOP]
    window = np.hanning(FFT).astype(np.float32)
    magnitudes = np.empty((count, BINS), np.float32)
    for begin in range(0, count, BLOCK_FRAMES):
        part = slice(begin, begin + BLOCK_FRAMES)
        magnitudes[part] = np.abs(fft.rfft(frames[part] * window, axis=1)[:, LOW_BIN:HIGH_BIN])
    magnitudes += FLOOR
    return np.log(magnitudes, out=magnitudes)


def contrast(spectrum: FloatArray) -> FloatArray:
    """How far each point of a log spectrum stands out of what is around it."""
    from scipy.ndimage import uniform_filter1d

    around = uniform_filter1d(spectrum, COLOUR_FRAMES, axis=0, mode="nearest")
    around = uniform_filter1d(around, COLOUR_BINS, axis=1, mode="nearest")
    around *= COLOUR_SHARE
    return np.asarray(np.subtract(spectrum, around, out=around), np.float32)


def highest_around(values: FloatArray, frames: int, bins: int) -> FloatArray:
    """The highest of the values within so many frames and bins to either side of each.

    As SciPy's maximum_filter, in a fifth of its time: the highest of 2, 4, 8 … neighbours comes of
    two such of half as many.
    """
    return _highest_along(_highest_along(values, frames, 0), bins, 1)


def _highest_along(values: FloatArray, reach: int, axis: int) -> FloatArray:
    count, width = values.shape[axis], 2 * reach + 1
    margins = [(0, 0), (0, 0)]
    margins[axis] = (reach, reach)
    highest = np.moveaxis(np.pad(values, margins, constant_values=-np.inf), axis, 0)
    size = 1
    while 2 * size <= width:
        highest = np.maximum(highest[:-size], highest[size:])
        size *= 2
    last = width - size
    return np.moveaxis(np.maximum(highest[:count], highest[last : last + count]), 0, axis)
