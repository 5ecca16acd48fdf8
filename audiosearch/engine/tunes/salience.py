"""Pitch salience: how strongly each pitch sounds in a mix, as the sum of its harmonics.

After J. Salamon and E. Gómez, Melody extraction from polyphonic music signals using pitch contour
characteristics, IEEE TASLP 20, 2012, from a spectrogram that is flattened as for landmarks. SciPy
is loaded with the first sound: many processes want the constants alone.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from audiosearch.engine.arrays import FloatArray

SAMPLE_RATE = 16_000
FFT, HOP = 2048, 320
LEAD = (FFT - HOP) // 2
"""Zeros before a recording, so that the middle of a frame is that of its hop."""
LOWEST_KEY, KEYS, STEPS = 45, 45, 3
"""MIDI numbers 45 to 90, 110 to 1,400 Hz, in thirds of a semitone."""
BINS = KEYS * STEPS
HARMONICS, HARMONIC_SHARE = 8, 0.6
FLOOR = 3e-4
"""Added to the level, of 1 full scale: what is below -70 dBFS is not brought up."""
LEVEL_FRAMES = 201
"""Four seconds, the loudest partial of which is the level."""
COMPRESSION = 10
AROUND_BINS = 49
"""383 Hz: of a partial, what stands out of the spectrum around counts."""
BLOCK_FRAMES = 128
PEAK_BINS, FAINTEST_PEAK = 7, 0.4
BRIGHTNESS = 0.012
"""Preferred by semitone: a melody is mostly above what accompanies it."""
BLUR = (0.92, 0.75, 0.55, 0.35, 0.2)
"""Of a peak, one to five thirds of a semitone beside it: who hums is not in tune."""


def salience(samples: FloatArray, frames: int) -> FloatArray:
    """(frames, BINS) salience of mono sound at SAMPLE_RATE, of which the first frame begins it.

    samples: at least (frames - 1) * HOP + FFT.
    """
    from scipy import fft
    from scipy.ndimage import maximum_filter1d, uniform_filter1d

    windows = np.lib.stride_tricks.sliding_window_view(samples, FFT)[::HOP][:frames]
    window = np.hanning(FFT).astype(np.float32)
    window *= 2 / window.sum()
    magnitudes = np.empty((frames, FFT // 2 + 1), np.float32)
    for begin in range(0, frames, BLOCK_FRAMES):
        part = slice(begin, begin + BLOCK_FRAMES)
        magnitudes[part] = np.abs(fft.rfft(windows[part] * window, axis=1))
    level = maximum_filter1d(magnitudes.max(axis=1), LEVEL_FRAMES, mode="nearest") + FLOOR
    found = np.empty((frames, BINS), np.float32)
    for begin in range(0, frames, BLOCK_FRAMES):
        part = slice(begin, begin + BLOCK_FRAMES)
        flat = np.log1p(magnitudes[part] * (COMPRESSION / level[part, None]))
        flat -= uniform_filter1d(flat, AROUND_BINS, axis=1, mode="nearest")
        found[part] = np.maximum(flat, 0, out=flat) @ _harmonics()
    return found


def sharpened(strengths: FloatArray) -> FloatArray:
    """(n, BINS) in 0..1: the peaks of each moment, blurred by a semitone and more, 1 the highest.

    strengths: (n, BINS), 0 and up, each of a moment of a tenth of a second.
    """
    from scipy.ndimage import maximum_filter1d

    bright = 1 + BRIGHTNESS * (np.arange(BINS, dtype=np.float32) / STEPS - KEYS / 2)
    pooled = strengths * bright
    is_peak = pooled >= maximum_filter1d(pooled, PEAK_BINS, axis=1)
    peaks = np.where(is_peak, pooled, 0)
    peaks /= peaks.max(axis=1, keepdims=True) + 1e-6
    peaks[peaks < FAINTEST_PEAK] = 0
    blurred = peaks.copy()
    for steps, share in enumerate(BLUR, 1):
        np.maximum(blurred[:, steps:], peaks[:, :-steps] * share, out=blurred[:, steps:])
        np.maximum(blurred[:, :-steps], peaks[:, steps:] * share, out=blurred[:, :-steps])
    return blurred


def halved(sharp: FloatArray) -> NDArray[np.uint8]:
    """(n // 2, BINS): the means of two moments each, as bytes, 255 for 1."""
    pairs = sharp.reshape(-1, 2, sharp.shape[1]).mean(axis=1)
    return np.asarray(np.round(pairs * 255), np.uint8)


@cache
def _harmonics() -> FloatArray:
    """(FFT // 2 + 1, BINS): what each bin of the spectrum adds to each pitch."""
    weights = np.zeros((FFT // 2 + 1, BINS), np.float32)
    hz = 440 * 2 ** ((LOWEST_KEY + np.arange(BINS) / STEPS - 69) / 12)
    for harmonic in range(1, HARMONICS + 1):
        place = hz * harmonic * FFT / SAMPLE_RATE
        below = np.floor(place).astype(int)
        heard = np.flatnonzero(below < FFT // 2)
        share = HARMONIC_SHARE ** (harmonic - 1)
        above = (place - below)[heard]
        weights[below[heard], heard] += share * (1 - above)
        weights[below[heard] + 1, heard] += share * above
    return weights
