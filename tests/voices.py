"""Synthesised voices: a buzzing glottis behind formants that differ from speaker to speaker."""

from functools import cache

import numpy as np
from scipy import signal

from audiosearch.engine.analyzers.base import FloatArray
from audiosearch.engine.voice.speech import RATE

SYLLABLE_S = 0.22
VOWELS = ((730, 1090, 2440), (270, 2290, 3010), (300, 870, 2240), (530, 1840, 2480))


@cache
def speak(seed: int, seconds: float, words: int = 0) -> FloatArray:
    """(n,) samples at 16 kHz; the seed is the speaker, `words` what is said."""
    speaker, text = np.random.default_rng(seed), np.random.default_rng([seed, words])
    pitch, tract = speaker.uniform(90, 240), speaker.uniform(0.85, 1.2)
    count = int(SYLLABLE_S * RATE)
    spoken: list[FloatArray] = []
    while sum(map(len, spoken)) < seconds * RATE:
        bend = pitch * (1 + 0.1 * np.sin(np.linspace(0, text.uniform(1, 4), count)))
        buzz = signal.sawtooth(2 * np.pi * np.cumsum(bend) / RATE)
        buzz = buzz + 0.05 * text.normal(size=count)
        for formant in VOWELS[text.integers(len(VOWELS))]:
            low, high = formant * tract * 0.94, formant * tract * 1.06
            buzz = buzz + 2 * signal.lfilter(*signal.butter(1, [low, high], "band", fs=RATE), buzz)
        spoken.append((buzz * np.hanning(count) ** 0.3).astype(np.float32))
    whole = np.concatenate(spoken)[: int(seconds * RATE)]
    samples = np.asarray(0.3 * whole / np.abs(whole).max(), dtype=np.float32)
    samples.flags.writeable = False  # others are given the same
    return samples
