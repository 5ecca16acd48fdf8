"""What can be measured of a sound without having learnt anything: blocks of plain statistics.

Each block is invariant to gain and ignores the frames that are digitally silent.
"""

import itertools
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from audiosearch.engine.arrays import FloatArray

SAMPLE_RATE = 32000
FFT = 1024
HOP = 320
MEL_BANDS = 64
MFCCS = 24
ACTIVE = 1e-6  # frames 60 dB under the loudest one are not part of the sound
MEL_FLOOR = 1e-7
MODULATION_FRAMES = 256
MODULATION_EDGES = (1, 2, 3, 4, 6, 8, 12, 17, 24, 34, 48, 68, 96, 128)
ENVELOPE_LEVELS = (-2, -4, -6, -8, -10, -12)
CONTRAST_EDGES = ((2, 6), (6, 13), (13, 26), (26, 51), (51, 102), (102, 205), (205, 410))
PITCH_LAGS = (SAMPLE_RATE // 1500, SAMPLE_RATE // 70)
PITCH_BINS = 8
TINY = 1e-12


@dataclass(frozen=True)
class Spectra:
    """power: (frames, bins) of all frames; active: (frames,) bool; log_mel: (frames, bands)."""

    power: FloatArray
    active: NDArray[np.bool_]
    log_mel: FloatArray


def describe(samples: FloatArray) -> dict[str, FloatArray]:
    """The blocks of statistics of a sound, by name, always in the same order and of one length.

    samples: (n,) float32 mono at 32 kHz, of any length and level.
    """
    spectra = _spectra(samples)
    active = spectra.power[spectra.active] + TINY * max(float(spectra.power.max()), TINY)
    log_mel = spectra.log_mel[spectra.active]
    level = log_mel - log_mel.mean()
    cepstrum = fft.dct(log_mel, type=2, norm="ortho", axis=1)[:, :MFCCS]
    return {
        "mfcc_mean": cepstrum[:, 1:].mean(axis=0),
        "mfcc_std": cepstrum.std(axis=0),
        "mfcc_delta": _delta(cepstrum).std(axis=0),
        "mel_mean": level.mean(axis=0),
        "mel_std": level.std(axis=0),
        "mel_percentiles": np.percentile(level, [10, 50, 90], axis=0).ravel(),
        "envelope": _envelope(spectra),
        "shape": _shape(active),
        "contrast": _contrast(active),
        "modulation": _modulation(spectra.log_mel),
        "pitch": _pitch(active),
    }


def _spectra(samples: FloatArray) -> Spectra:
    loudness = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) or 1.0
    samples = np.ascontiguousarray(samples * np.float32(0.1 / max(loudness, 1e-20)))
    if len(samples) < 2 * FFT:
        samples = np.pad(samples, (0, 2 * FFT - len(samples)))
    frames = np.lib.stride_tricks.sliding_window_view(samples, FFT)[::HOP]
    power = np.abs(fft.rfft(frames * _hann(), axis=1)) ** 2
    energy = power.sum(axis=1)
    active = energy > energy.max() * ACTIVE
    if active.sum() < 8:
        active[:] = True
    mel = power @ _mel_bands().T
    return Spectra(power, active, np.log(mel + max(float(mel[active].max()) * MEL_FLOOR, 1e-30)))


@lru_cache(maxsize=1)
def _hann() -> FloatArray:
    return np.hanning(FFT).astype(np.float32)


@lru_cache(maxsize=1)
def _mel_bands() -> FloatArray:
    """(bands, bins) triangles on the mel scale of O'Shaughnessy (1987), each of unit sum."""
    low, high = (2595 * np.log10(1 + hz / 700) for hz in (40, 15500))
    edges = 700 * (10 ** (np.linspace(low, high, MEL_BANDS + 2) / 2595) - 1)
    hz = np.arange(FFT // 2 + 1) * SAMPLE_RATE / FFT
    left, centre, right = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    bands = np.maximum(
        0, np.minimum((hz - left) / (centre - left), (right - hz) / (right - centre))
    )
    return (bands / (bands.sum(axis=1, keepdims=True) + 1e-9)).astype(np.float32)


def _delta(values: FloatArray) -> FloatArray:
    return np.gradient(values, axis=0) if len(values) > 2 else np.zeros_like(values)


def _envelope(spectra: Spectra) -> FloatArray:
    """How loudness goes over time: shares of time under six levels, spread, steps, presence."""
    energy = spectra.power.sum(axis=1)
    level = np.log(energy + max(float(energy.max()) * ACTIVE, 1e-30))
    level = level - level.max()
    steps = np.diff(level)
    shares = [float(np.mean(level < limit)) for limit in ENVELOPE_LEVELS]
    rest = [level.std(), np.abs(steps).mean(), steps.max(), spectra.active.mean()]
    return np.array(shares + [float(value) for value in rest], np.float32)


def _shape(power: FloatArray) -> FloatArray:
    """Mean, spread and movement of centroid, bandwidth, flatness and two roll-offs (log scale)."""
    hz = np.arange(power.shape[1]) * SAMPLE_RATE / FFT
    total = power.sum(axis=1)
    centroid = power @ hz / total
    bandwidth = np.sqrt(np.maximum(power @ hz**2 / total - centroid**2, 0))
    flatness = np.exp(np.log(power[:, 2:]).mean(axis=1)) / power[:, 2:].mean(axis=1)
    share = np.cumsum(power, axis=1) / total[:, None]
    roll_off = [(share < part).sum(axis=1) * SAMPLE_RATE / FFT for part in (0.85, 0.5)]
    curves = np.log(
        np.stack([centroid + 50, bandwidth + 50, flatness + 1e-6, *(r + 50 for r in roll_off)], 1)
    )
    movement = np.abs(np.diff(curves, axis=0)).mean(axis=0)
    return np.concatenate([curves.mean(axis=0), curves.std(axis=0), movement])


def _contrast(power: FloatArray) -> FloatArray:
    """Peaks over valleys in seven octaves: mean and spread (Jiang et al. 2002)."""
    log_power = np.log(power)
    curves = []
    for low, high in CONTRAST_EDGES:
        ordered = np.sort(log_power[:, low:high], axis=1)
        part = max(1, (high - low) // 5)
        curves.append(ordered[:, -part:].mean(axis=1) - ordered[:, :part].mean(axis=1))
    contrast = np.stack(curves, axis=1)
    return np.concatenate([contrast.mean(axis=0), contrast.std(axis=0)])


def _modulation(log_mel: FloatArray) -> FloatArray:
    """How fast loudness beats, 0.4 to 50 Hz, in eight groups of bands and over all of them."""
    groups = [group.mean(axis=1) for group in np.array_split(log_mel, 8, axis=1)]
    curves = np.stack([*groups, log_mel.mean(axis=1)], axis=1)
    if len(curves) < MODULATION_FRAMES:
        curves = np.pad(curves, ((0, MODULATION_FRAMES - len(curves)), (0, 0)), mode="wrap")
    starts = range(0, len(curves) - MODULATION_FRAMES + 1, MODULATION_FRAMES // 2)
    spectra = []
    for start in starts:
        part = curves[start : start + MODULATION_FRAMES]
        part = (part - part.mean(axis=0)) * np.hanning(MODULATION_FRAMES)[:, None]
        spectra.append(np.abs(fft.rfft(part, axis=0)) ** 2)
    mean = np.mean(spectra, axis=0)
    edges = itertools.pairwise(MODULATION_EDGES)
    return np.log(np.stack([mean[low:high].mean(axis=0) for low, high in edges]) + 1e-3).T.ravel()


def _pitch(power: FloatArray) -> FloatArray:
    """How periodic the frames are, and where between 70 and 1,500 Hz their pitch lies."""
    correlation = fft.irfft(power, axis=1)
    low, high = PITCH_LAGS
    lags = correlation[:, low:high] / (correlation[:, :1] + TINY)
    strength = lags.max(axis=1)
    octaves = np.log2(lags.argmax(axis=1) + low)
    counts, _ = np.histogram(
        octaves,
        bins=PITCH_BINS,
        range=(np.log2(low), np.log2(high)),
        weights=np.maximum(strength, 0) ** 2,
    )
    movement = float(np.abs(np.diff(octaves)).mean())
    summary = [strength.mean(), strength.std(), np.percentile(strength, 90), movement]
    return np.concatenate([summary, np.sqrt(counts / len(strength))]).astype(np.float32)
