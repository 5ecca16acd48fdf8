"""Synthesised voices: a glottis behind formants that glide from sound to sound.

After Klatt, "Software for a cascade/parallel formant synthesizer", 1980: the glottis opens as
Rosenberg (1971) has it, through five resonators in a row, of which three follow what is said.
Silero's network takes them for speech, and Resemblyzer tells their speakers apart.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from audiosearch.engine.analyzers.base import FloatArray
from audiosearch.engine.voice.speech import RATE

STEP = RATE // 200  # samples of 5 ms, in which the tract stands still
VOWELS = (
    *((730, 1090, 2440), (270, 2290, 3010), (300, 870, 2240), (530, 1840, 2480)),
    *((570, 840, 2410), (440, 1020, 2240), (660, 1720, 2410)),
)
# Three formants in Hz, how loud the voice is and how loud the hiss, and a length in steps.
CONSONANTS = (
    *((250, 1100, 2300, 0.35, 0.0, 14), (250, 1700, 2600, 0.35, 0.0, 14)),  # m, n
    *((320, 1200, 2800, 0.50, 0.0, 12), (310, 1060, 1380, 0.50, 0.0, 12)),  # l, r
    *((200, 800, 2200, 0.05, 0.0, 12), (200, 1800, 2700, 0.05, 0.0, 12)),  # b, d
    *((320, 1700, 2600, 0.0, 0.25, 20), (300, 1900, 2500, 0.0, 0.2, 20)),  # s, sh
)
WIDTHS_HZ = (60, 90, 150, 200, 250)
BREATH = 360  # steps from one breath to the next; the pitch sinks meanwhile
Track = NDArray[np.float64]


@cache
def speak(seed: int, seconds: float, words: int = 0) -> FloatArray:
    """(n,) samples at 16 kHz; the seed is the speaker, `words` what is said."""
    speaker, text = np.random.default_rng(seed), np.random.default_rng([seed, words])
    pitch, tract = speaker.uniform(90, 240), speaker.uniform(0.85, 1.2)
    opened = speaker.uniform(0.5, 0.75)
    steps = int(seconds * RATE) // STEP + 1
    said = _syllables(text, steps)
    loudness, hiss = (_by_sample(_smooth(track, 5)) for track in said[3:])
    air = text.normal(size=steps * STEP)
    flow = _glottis(_pitch(text, pitch, steps), opened)
    voice = loudness * (np.diff(flow, prepend=0) + 0.003 * air * flow)
    formants = [_smooth(track, 11) * tract for track in said[:3]]
    formants += [np.full(steps, 3500 * tract), np.full(steps, min(4500 * tract, 7000))]
    for hz, width_hz in zip(formants, WIDTHS_HZ, strict=True):
        voice = _resonate(voice, hz, width_hz)
    band = signal.butter(2, [3150 * tract, 7000], "band", fs=RATE)
    whole = voice / np.abs(voice).max() + 0.6 * signal.lfilter(*band, hiss * air)
    whole = whole[: int(seconds * RATE)]
    samples = np.asarray(0.3 * whole / np.abs(whole).max(), dtype=np.float32)
    samples.flags.writeable = False  # others are given the same
    return samples


def _syllables(text: np.random.Generator, steps: int) -> Track:
    """(5, steps): consonants and vowels in turn, as the first five numbers of a consonant."""
    said = list[tuple[float, ...]]()
    while len(said) < steps:
        *consonant, length = CONSONANTS[text.integers(len(CONSONANTS))]
        said += [tuple(consonant)] * int(length)
        vowel = VOWELS[text.integers(len(VOWELS))]
        said += [(*vowel, 1.0, 0.01)] * int(text.integers(18, 38))
    return np.array(said[:steps]).T


def _pitch(text: np.random.Generator, pitch: float, steps: int) -> Track:
    """(samples,) Hz: falling with every breath, with accents, and never quite steady."""
    falling = 1.12 - 0.24 * (np.arange(steps) / BREATH % 1)
    accents = 3 * _smooth(text.normal(0, 0.12, steps), 59)
    return _by_sample(pitch * falling * (1 + accents) * (1 + 0.01 * text.normal(size=steps)))


def _glottis(pitch: Track, opened: float) -> Track:
    """(samples,) air that flows, 0..1; opened: share of each period in which any does."""
    phase, rise = np.cumsum(pitch) / RATE % 1, 0.67 * opened
    falling = np.cos(np.pi / 2 * (phase - rise) / (opened - rise))
    flow = np.where(phase < rise, 0.5 - 0.5 * np.cos(np.pi * phase / rise), falling)
    return np.where(phase < opened, flow, 0.0)


def _resonate(samples: Track, hz: Track, width_hz: float) -> Track:
    """Through a resonator whose frequency is another one in each step."""
    radius, state = np.exp(-np.pi * width_hz / RATE), np.zeros(2)
    parts = []
    for part, middle in zip(samples.reshape(-1, STEP), hz, strict=True):
        poles = [1, -2 * radius * np.cos(2 * np.pi * middle / RATE), radius**2]
        out, state = signal.lfilter([sum(poles)], poles, part, zi=state)
        parts.append(out)
    return np.concatenate(parts)


def _smooth(track: Track, steps: int) -> Track:
    """Averaged over an odd number of steps."""
    weights = np.hanning(steps + 2)[1:-1]
    padded = np.pad(track, steps // 2, mode="edge")
    return np.convolve(padded, weights / weights.sum(), "valid")


def _by_sample(track: Track) -> Track:
    at = np.arange(len(track)) * STEP
    return np.interp(np.arange(len(track) * STEP), at, track)
