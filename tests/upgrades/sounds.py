"""The recordings of a small installation; the same every time."""

import numpy as np

from tests.audio_files import FloatArray, noise, tone
from tests.voices import speak

RATE = 16_000


def bell(hz: float) -> FloatArray:
    """Two partials that fade over two seconds."""
    fading = np.exp(-np.arange(2 * RATE) / RATE).astype(np.float32)
    return fading * (tone(2, hz, RATE) + 0.5 * tone(2, 2.76 * hz, RATE))


def stereo() -> FloatArray:
    """(2, n): another tone in each ear."""
    return np.stack([tone(2, 500, RATE), tone(2, 750, RATE)])


def surf() -> FloatArray:
    """Noise that swells and falls, for longer than one window."""
    return noise(25, 2, RATE) * tone(25, 3, RATE)


def voice(seed: int, words: int = 0, seconds: float = 5) -> FloatArray:
    """Somebody speaking, with the hush of a room before and after."""
    hush = np.random.default_rng(words).normal(0, 1e-4, RATE // 2).astype(np.float32)
    return np.concatenate([hush, speak(seed, seconds, words), hush])


def conversation(*seeds: int) -> FloatArray:
    """Each speaks four seconds in turn."""
    return np.concatenate([speak(seed, 4, 11 + turn) for turn, seed in enumerate(seeds)])
