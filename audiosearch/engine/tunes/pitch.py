"""The pitch of one voice: hummed, sung or whistled, by the autocorrelation of short frames.

After P. Boersma, Accurate short-term analysis of the fundamental frequency and the
harmonics-to-noise ratio of a sampled sound, IFA Proceedings 17, 1993: divided by that of the
window, the autocorrelation of a periodic frame is 1 at its period, however short the frame. Of a
whistle it is 1 at all multiples, too, of which the shortest is preferred a little. As much as it
never falls to zero before the period counts against it: what is low and noisy has such ripples.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from audiosearch.engine.arrays import FloatArray
from audiosearch.engine.tunes.contour import smoothest_path
from audiosearch.engine.tunes.salience import HOP, SAMPLE_RATE

FRAME = 1024
FINER = 4
"""Lags between the samples: a whistle of 4 kHz has four samples a period."""
LOWEST_KEY, HIGHEST_KEY, STEPS = 38, 108, 5
"""73 to 4,186 Hz, in fifths of a semitone."""
PITCHES = (HIGHEST_KEY - LOWEST_KEY) * STEPS
BAND_HZ = 60, 5500
OCTAVE_COST = 0.02
JUMP, FARTHEST_JUMP = 0.012, 0.5
"""Cost by step, and of any; in correlations."""
PERIODIC = 0.5
"""Correlation at the period from which on a frame is voiced: as much tone as noise."""
QUIETEST, FAINTEST = 3e-4, 0.03
"""Root mean squares: of 1 full scale, and of the loud frames."""
BLOCK_FRAMES = 64


@dataclass(frozen=True)
class PitchTrack:
    """The pitch of a sound, a frame each 20 ms.

    keys: (n,) float32, MIDI numbers with fractions, also where nothing is voiced; voiced: (n,)
    bool; level: root mean square of the loud frames, of 1 full scale; periodicity: median
    correlation, at its period, of what is voiced.
    """

    keys: FloatArray
    voiced: NDArray[np.bool_]
    level: float
    periodicity: float


def track_pitch(samples: FloatArray) -> PitchTrack:
    """The pitch of mono sound in -1..1 at SAMPLE_RATE, of a voice or a whistle alone."""
    frames = len(samples) // HOP
    if not frames:
        return PitchTrack(np.zeros(0, np.float32), np.zeros(0, bool), 0.0, 0.0)
    around = np.pad(samples, ((FRAME - HOP) // 2, FRAME))
    windows = np.lib.stride_tricks.sliding_window_view(around, FRAME)[::HOP][:frames]
    levels = np.sqrt(np.square(windows).mean(axis=1))
    level = float(np.quantile(levels, 0.95))
    blocks = range(0, frames, BLOCK_FRAMES)
    correlations = np.concatenate(
        [_correlations(windows[begin : begin + BLOCK_FRAMES]) for begin in blocks]
    )
    preferred = np.where(_is_peak(correlations), correlations + _octave_bonus(), 0)
    path = smoothest_path(preferred.astype(np.float32), JUMP, FARTHEST_JUMP)
    columns = path + _beside_peak(correlations, path)
    chosen = correlations[np.arange(frames), path]
    voiced = (chosen >= PERIODIC) & (levels > max(QUIETEST, FAINTEST * level))
    periodicity = float(np.median(chosen[voiced])) if voiced.any() else 0.0
    keys = (LOWEST_KEY + columns / STEPS).astype(np.float32)
    return PitchTrack(keys, voiced, level, periodicity)


def _correlations(windows: FloatArray) -> FloatArray:
    """(n, PITCHES): the autocorrelation of each frame at the period of each pitch."""
    from scipy import fft

    hann, below, share, own = _lags()
    size = 2 * FRAME
    spectrum = fft.rfft((windows - windows.mean(axis=1, keepdims=True)) * hann, size, axis=1)
    power = np.square(np.abs(spectrum)).astype(np.float32)
    hz = np.fft.rfftfreq(size, 1 / SAMPLE_RATE)
    power[:, (hz < BAND_HZ[0]) | (hz > BAND_HZ[1])] = 0
    lags = fft.irfft(power, FINER * size, axis=1)
    at = lags[:, below] * (1 - share) + lags[:, below + 1] * share
    at /= lags[:, :1] * own + 1e-12
    trough = np.minimum.accumulate(at[:, ::-1], axis=1)[:, ::-1]
    at -= np.maximum(trough, 0)
    return np.asarray(at[:, :PITCHES], np.float32)


@cache
def _lags() -> tuple[FloatArray, NDArray[np.int64], FloatArray, FloatArray]:
    """The window; of each pitch, and of those of an octave more, where troughs are, the lag below
    its period, how far above it that is, and the window's own autocorrelation there."""
    hann = np.hanning(FRAME).astype(np.float32)
    keys = LOWEST_KEY + np.arange(PITCHES + 12 * STEPS) / STEPS
    periods = FINER * SAMPLE_RATE / (440 * 2 ** ((keys - 69) / 12))
    below = np.floor(periods).astype(np.int64)
    power = np.square(np.abs(np.fft.rfft(hann, 2 * FRAME)))
    own = np.fft.irfft(power, 2 * FRAME * FINER)
    at = np.interp(periods, np.arange(FRAME * FINER), own[: FRAME * FINER] / own[0])
    return hann, below, (periods - below).astype(np.float32), at.astype(np.float32)


def _is_peak(correlations: FloatArray) -> NDArray[np.bool_]:
    """Where they are highest within half a semitone: elsewhere there is no period."""
    from scipy.ndimage import maximum_filter1d

    highest = correlations >= maximum_filter1d(correlations, STEPS, axis=1)
    highest[:, 0] = highest[:, -1] = False
    return np.asarray(highest)


def _octave_bonus() -> FloatArray:
    return (OCTAVE_COST * np.arange(PITCHES) / (12 * STEPS)).astype(np.float32)


def _beside_peak(correlations: FloatArray, path: NDArray[np.int64]) -> FloatArray:
    """How far from each chosen pitch, in steps, a parabola through its neighbours is highest."""
    inner = np.clip(path, 1, correlations.shape[1] - 2)
    rows = np.arange(len(path))
    left, middle, right = (correlations[rows, inner + offset] for offset in (-1, 0, 1))
    bend = np.minimum(left - 2 * middle + right, -1e-6)
    return np.asarray(np.clip(0.5 * (left - right) / bend, -0.5, 0.5), np.float32)
