"""The log-mel spectrogram that EfficientAT's networks take, in NumPy and SciPy.

Schmid et al., 2023, https://arxiv.org/abs/2211.04772; the figures are those of `AugmentMelSTFT` in
https://github.com/fschmid56/EfficientAT (MIT), as it is when nothing is augmented.
"""

from functools import lru_cache
from typing import Any

import numpy as np
from scipy import fft

from audiosearch.engine.arrays import FloatArray

RATE = 32000
MELS = 128
FFT = 1024
WINDOW = 800  # samples, 25 ms
HOP = 320
PREEMPHASIS = 0.97
FMAX = 15000  # Hz
FLOOR = 1e-5
SHORTEST = 3200  # samples (0.1 s)


def log_mels(windows: FloatArray) -> FloatArray:
    """(n, samples) at 32 kHz to (n, 128, frames), one frame each 10 ms.

    Windows shorter than `SHORTEST` are repeated up to it, because silence would be another sound.
    """
    if windows.shape[1] < SHORTEST:
        repeats = -(-SHORTEST // windows.shape[1])
        windows = np.tile(windows, (1, repeats))[:, :SHORTEST]
    return np.stack([_log_mels(window) for window in windows])


def _log_mels(window: FloatArray) -> FloatArray:
    """One window at a time, whose frames still lie in the cache."""
    sharpened = window[1:] - np.float32(PREEMPHASIS) * window[:-1]
    # The Hann window is shorter than the FFT and centred in it, and power forgets where it lay.
    padded = np.pad(sharpened, FFT // 2, mode="reflect")[(FFT - WINDOW) // 2 :]
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP]
    frames = frames[: 1 + sharpened.size // HOP]
    spectrum = fft.rfft(frames * _hann(), FFT, axis=1)[:, : _top_bin()]
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    levels = np.log(_mel_bands() @ power.T + np.float32(FLOOR))
    return np.asarray((levels + np.float32(4.5)) / np.float32(5), np.float32)


@lru_cache
def _hann() -> FloatArray:
    return np.hanning(WINDOW).astype(np.float32)


def _top_bin() -> int:
    """The first bin of the FFT above all bands."""
    return FMAX * FFT // RATE + 1


@lru_cache
def _mel_bands() -> FloatArray:
    """(128, bins) triangles as Kaldi draws them: straight in mel, not in Hz."""

    def mel(hz: Any) -> Any:
        return 1127 * np.log1p(hz / 700)

    edges = np.linspace(0, mel(FMAX), MELS + 2)
    bins = mel(np.arange(_top_bin()) * RATE / FFT)
    left, centre, right = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising, falling = (bins - left) / (centre - left), (right - bins) / (right - centre)
    return np.maximum(0, np.minimum(rising, falling)).astype(np.float32)
