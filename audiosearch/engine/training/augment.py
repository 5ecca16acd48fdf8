"""What speech is put through while an encoder is trained, so that it hears voices, not rooms."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from scipy.signal import fftconvolve
from torch import Tensor, nn

from audiosearch.engine.arrays import FloatArray
from audiosearch.engine.training.corpus import read_samples
from audiosearch.engine.voice.speech import RATE

SPEEDS = (0.9, 1.0, 1.1)
"""At another speed it is another speaker, as voice and tract are others then."""

NOISY, REVERBERANT = 0.5, 0.3  # shares of the crops
SNR_DB = (0.0, 20.0)
DECAY_S = (0.1, 0.6)
GAIN_DB = (-10.0, 6.0)
TIME_MASK, BAND_MASK = 0.08, 10  # of the frames, mel bands


def augment_speech(
    samples: FloatArray, rng: np.random.Generator, noises: Sequence[Path]
) -> FloatArray:
    """(n,) samples, louder or softer, maybe with a room and with noise around them.

    noises: what `cut_noises` kept of recorded ones; made ones are taken when there are none.
    """
    changed = samples
    if rng.random() < REVERBERANT:
        changed = _reverberate(changed, rng)
    if rng.random() < NOISY:
        changed = _with_noise(changed, rng, noises)
    gain = 10 ** (rng.uniform(*GAIN_DB) / 20)
    return np.clip(changed * gain, -1, 1).astype(np.float32)


def at_speed(samples: FloatArray, speed: float) -> FloatArray:
    """Faster and higher, or slower and lower; as long as before, repeated where need be."""
    if speed == 1.0:
        return samples
    places = np.arange(0, len(samples) - 1, speed)
    return np.resize(np.interp(places, np.arange(len(samples)), samples), len(samples))


def _reverberate(samples: FloatArray, rng: np.random.Generator) -> FloatArray:
    """A room made of noise that dies away; as loud as before."""
    decay_s = rng.uniform(*DECAY_S)
    times = np.arange(int(decay_s * RATE)) / RATE
    room = rng.normal(0, 0.05, len(times)) * np.exp(-6.9 * times / decay_s)  # 60 dB down
    room[0] = 1
    wet = fftconvolve(samples, room)[: len(samples)]
    return np.asarray(wet * _level(samples) / _level(wet))


def _with_noise(
    samples: FloatArray, rng: np.random.Generator, noises: Sequence[Path]
) -> FloatArray:
    noise = _recorded(noises, len(samples), rng) if noises else _coloured(len(samples), rng)
    factor = _level(samples) / _level(noise) * 10 ** (-rng.uniform(*SNR_DB) / 20)
    return samples + noise * factor


def _recorded(noises: Sequence[Path], count: int, rng: np.random.Generator) -> FloatArray:
    found = read_samples(noises[int(rng.integers(len(noises)))])
    return np.resize(np.roll(found, int(rng.integers(len(found)))), count)


def _coloured(count: int, rng: np.random.Generator) -> FloatArray:
    """Noise between white and brown."""
    spectrum = np.fft.rfft(rng.normal(size=count))
    spectrum /= np.maximum(np.arange(len(spectrum)), 1) ** rng.uniform(0, 1)
    return np.fft.irfft(spectrum, count).astype(np.float32)


def _level(samples: FloatArray) -> float:
    return float(np.sqrt(np.mean(np.square(samples))) + 1e-9)


class SpecAugment(nn.Module):
    """One stretch of time and one of bands set to the mean, anew for each example, in training.

    Park et al., "SpecAugment", 2019, https://arxiv.org/abs/1904.08779.
    """

    def forward(self, features: Tensor) -> Tensor:
        if not self.training:
            return features
        count, bands, frames = features.shape
        masked = _stretch(count, frames, int(TIME_MASK * frames), features)[:, None, :]
        masked = masked | _stretch(count, bands, BAND_MASK, features)[:, :, None]
        return features.masked_fill(masked, 0.0)


def _stretch(count: int, size: int, longest: int, like: Tensor) -> Tensor:
    """(count, size) booleans: true in one stretch of 0 to `longest` places a row."""
    length = torch.randint(0, longest + 1, (count, 1))
    start = (torch.rand(count, 1) * (size - length)).long()
    places = torch.arange(size)
    return ((places >= start) & (places < start + length)).to(like.device)
