"""What excerpts are made worse by to measure how they are recognised: noise, rooms, microphones."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.signal import butter, fftconvolve, sosfilt

from audiosearch.engine.analyzers.landmarks.spectrum import SAMPLE_RATE
from audiosearch.engine.arrays import FloatArray

VOICES = 6
REVERBERATION_S = 0.25, 0.6
DIRECT_DB = -2, 6
LOWEST_HZ, HIGHEST_HZ = (150, 350), (3300, 4800)


@dataclass(frozen=True)
class Condition:
    """What happens to an excerpt; snr in dB, None without noise; phone: a room and a microphone."""

    name: str
    snr: float | None = None
    phone: bool = False


class Worsening:
    """Does to excerpts at SAMPLE_RATE what rooms, microphones and people talking do; from one seed.

    voices: recordings of which six at once make babble, half of the noise; without them all of it
    is pink.
    """

    def __init__(self, voices: Sequence[FloatArray], seed: int) -> None:
        self._voices, self._rng = voices, np.random.default_rng(seed)

    def __call__(self, excerpt: FloatArray, condition: Condition) -> FloatArray:
        """(n,) float32 with its peak at 0.7."""
        made = excerpt
        if condition.phone:
            made = fftconvolve(made, self._room())[: len(made)]
        if condition.snr is not None:
            noise = self._noise(len(made))
            made = made + noise * made.std() * 10 ** (-condition.snr / 20)
        if condition.phone:
            band = self._rng.uniform(*LOWEST_HZ), self._rng.uniform(*HIGHEST_HZ)
            made = sosfilt(butter(4, band, "band", fs=SAMPLE_RATE, output="sos"), made)
            made = np.tanh(made / max(made.std(), 1e-9) * 0.5)
        return np.asarray(made / max(np.abs(made).max(), 1e-9) * 0.7, np.float32)

    def _room(self) -> FloatArray:
        """An impulse response that dies away by 60 dB, and the direct sound before it."""
        length = int(self._rng.uniform(*REVERBERATION_S) * SAMPLE_RATE)
        response = self._rng.normal(size=length) * np.exp(-6.9 * np.arange(length) / length)
        response[: int(self._rng.uniform(0.002, 0.012) * SAMPLE_RATE)] = 0
        response /= np.sqrt(np.square(response).sum())
        response[0] = 10 ** (self._rng.uniform(*DIRECT_DB) / 20)
        return response.astype(np.float32)

    def _noise(self, length: int) -> FloatArray:
        """Babble and as much pink noise, with a standard deviation of 1."""
        babble = np.zeros(length, np.float32)
        for _ in range(VOICES if self._voices else 0):
            voice = self._voices[int(self._rng.integers(len(self._voices)))]
            voice = np.roll(voice, self._rng.integers(len(voice)))
            babble += np.resize(voice, length) / (voice.std() + 1e-9)
        spectrum = np.fft.rfft(self._rng.normal(size=length))
        spectrum /= np.sqrt(np.maximum(np.arange(len(spectrum)), 1))
        pink = np.fft.irfft(spectrum, length)
        noise = babble / (babble.std() + 1e-9) + pink / pink.std()
        return np.asarray(noise / noise.std(), np.float32)
