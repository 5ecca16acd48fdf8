"""Pitch salience: how strongly each pitch sounds in a mix, as the sum of its harmonics.

After J. Salamon and E. Gómez, Melody extraction from polyphonic music signals using pitch contour
characteristics, IEEE TASLP 20, 2012, from a spectrogram that is flattened as for landmarks. SciPy
is loaded with the first sound: many processes want the constants alone.
"""

from functools import cache
from typing import Any, NamedTuple

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
TENTH = 5
"""Frames of a tenth of a second."""
BLOCK_FRAMES = 25 * TENTH
BELOW, ABOVE = 12 * STEPS, 31 * STEPS
"""Steps of spectra below the lowest pitch, and above the highest, to its sixth harmonic."""
PITCHES = BELOW + BINS + ABOVE
PEAK_BINS, FAINTEST_PEAK = 7, 0.4
BRIGHTNESS = 0.012
"""Preferred by semitone: a melody is mostly above what accompanies it."""
BLUR = (0.92, 0.75, 0.55, 0.35, 0.2)
"""Of a peak, one to five thirds of a semitone beside it: who hums is not in tune."""


class Heard(NamedTuple):
    """salience: (n, BINS) of frames; spectra: (n // TENTH, 2, PITCHES) of each tenth of a second,
    by pitch, what stands out of the spectrum around, and how loud it is."""

    salience: FloatArray
    spectra: FloatArray


def heard(samples: FloatArray, frames: int) -> Heard:
    """Of mono sound at SAMPLE_RATE, of which the first frame begins it.

    samples: at least (frames - 1) * HOP + FFT; frames: whole tenths of a second.
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
    salience = np.empty((frames, BINS), np.float32)
    spectra = np.empty((frames // TENTH, 2, PITCHES), np.float32)
    for begin in range(0, frames, BLOCK_FRAMES):
        part = slice(begin, begin + BLOCK_FRAMES)
        loud = np.log1p(magnitudes[part] * (COMPRESSION / level[part, None]))
        flat = loud - uniform_filter1d(loud, AROUND_BINS, axis=1, mode="nearest")
        np.maximum(flat, 0, out=flat)
        salience[part] = (_harmonics() @ flat.T).T
        for place, one in enumerate((flat, loud)):
            tenths = one.reshape(-1, TENTH, one.shape[1]).mean(axis=1)
            spectra[begin // TENTH : part.stop // TENTH, place] = (_pitches() @ tenths.T).T
    return Heard(salience, spectra)


def heard_whole(samples: FloatArray) -> Heard:
    """Of mono sound at SAMPLE_RATE, as many fifths of a second as there are."""
    padded = np.concatenate([np.zeros(LEAD, np.float32), samples, np.zeros(FFT, np.float32)])
    return heard(padded, len(samples) // HOP // (2 * TENTH) * 2 * TENTH)


def sharpened(strengths: FloatArray) -> FloatArray:
    """(n, BINS) in 0..1: the peaks of each moment, blurred by a semitone and more, 1 the highest.

    strengths: (n, BINS), 0 and up, each of a moment of a tenth of a second.
    """
    bright = 1 + BRIGHTNESS * (np.arange(BINS, dtype=np.float32) / STEPS - KEYS / 2)
    peaks = peaks_of(np.asarray(strengths * bright, np.float32))
    peaks /= peaks.max(axis=1, keepdims=True) + 1e-6
    peaks[peaks < FAINTEST_PEAK] = 0
    return blurred(peaks)


def peaks_of(strengths: FloatArray) -> FloatArray:
    """(n, BINS) those pitches that are the strongest within a semitone of them, 0 the others."""
    from scipy.ndimage import maximum_filter1d

    highest = maximum_filter1d(strengths, PEAK_BINS, axis=1)
    return np.asarray(np.where(strengths >= highest, strengths, 0), np.float32)


def blurred(peaks: FloatArray) -> FloatArray:
    """(n, BINS) as strong as the peak near to a pitch that is strongest there, by BLUR."""
    strong = peaks.copy()
    for steps, share in enumerate(BLUR, 1):
        np.maximum(strong[:, steps:], peaks[:, :-steps] * share, out=strong[:, steps:])
        np.maximum(strong[:, :-steps], peaks[:, steps:] * share, out=strong[:, :-steps])
    return strong


def halved(sharp: FloatArray) -> NDArray[np.uint8]:
    """(n // 2, BINS): the means of two moments each, as bytes, 255 for 1."""
    pairs = sharp.reshape(-1, 2, sharp.shape[1]).mean(axis=1)
    return np.asarray(np.round(pairs * 255), np.uint8)


@cache
def _harmonics() -> Any:
    """(BINS, FFT // 2 + 1): what each bin of the spectrum adds to each pitch; sparse, as a product
    of whole matrices would start threads that wait for each other."""
    from scipy.sparse import csr_array

    weights = np.zeros((FFT // 2 + 1, BINS), np.float32)
    hz = 440 * 2 ** ((LOWEST_KEY + np.arange(BINS) / STEPS - 69) / 12)
    for harmonic in range(1, HARMONICS + 1):
        place = hz * harmonic * FFT / SAMPLE_RATE
        below = np.floor(place).astype(int)
        reached = np.flatnonzero(below < FFT // 2)
        share = HARMONIC_SHARE ** (harmonic - 1)
        above = (place - below)[reached]
        weights[below[reached], reached] += share * (1 - above)
        weights[below[reached] + 1, reached] += share * above
    return csr_array(weights.T)


@cache
def _pitches() -> Any:
    """(PITCHES, FFT // 2 + 1): the bins of the spectrum around each pitch, weighing 1 together."""
    from scipy.sparse import csr_array

    hz = 440 * 2 ** ((LOWEST_KEY + (np.arange(PITCHES) - BELOW) / STEPS - 69) / 12)
    places = hz * FFT / SAMPLE_RATE
    reach = np.maximum(places * (2 ** (1 / (12 * STEPS)) - 1), 1)
    apart = np.abs(np.arange(FFT // 2 + 1)[:, None] - places)
    weights = np.maximum(1 - apart / reach, 0)
    return csr_array((weights / np.maximum(weights.sum(axis=0), 1e-9)).T.astype(np.float32))
