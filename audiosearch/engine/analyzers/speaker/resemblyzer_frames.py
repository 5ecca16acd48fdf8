"""The frames that Resemblyzer's weights were trained on; see `resemblyzer.py`."""

import numpy as np

from audiosearch.engine.arrays import FloatArray

RATE = 16_000
FFT = 400
HOP = 160
FRAMES = 160  # of a partial utterance, 1.6 s


def power_spectrogram(samples: FloatArray, frames: int) -> FloatArray:
    """(frames, 201) power spectrogram, frame i centred on sample 160 i, silence around it."""
    after = max((frames - 1) * HOP + FFT // 2 - len(samples), FFT // 2)
    padded = np.pad(samples, (FFT // 2, after))
    cut = np.lib.stride_tricks.sliding_window_view(padded, FFT)[::HOP][:frames]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FFT) / FFT)
    spectrum = np.fft.rfft(cut * hann, axis=1)
    return np.asarray(spectrum.real**2 + spectrum.imag**2, dtype=np.float32)
