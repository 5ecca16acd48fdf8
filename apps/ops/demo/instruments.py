"""The instruments that play the tunes: each turns one note into a wave.

All take (rng, hz, seconds) and return a wave that may ring on past `seconds`.
"""

from collections.abc import Callable

import numpy as np
from numpy.random import Generator

from apps.ops.demo.shaping import (
    RATE,
    Wave,
    bump,
    decay,
    modes,
    noise_band,
    play_table,
    times,
    wavetable,
)

Instrument = Callable[[Generator, float, float], Wave]


def string(rng: Generator, hz: float, seconds: float) -> Wave:
    """A plucked string (Karplus and Strong, 1983)."""
    ring = seconds + 0.6
    period = round(RATE / hz - 0.5)
    # A whole number of samples is out of tune; play it at the pitch it has, then read it faster.
    stretch = hz * (period + 0.5) / RATE
    size = int(ring * RATE * stretch) + period + 2
    pluck = rng.uniform(-1, 1, period + 1)
    pluck = 0.5 * pluck + 0.5 * np.roll(pluck, 1)
    wave = np.zeros(size + period)
    wave[: period + 1] = pluck - pluck.mean()
    loss = 0.5 * 10 ** (-3.0 / (hz * 3.0))
    for start in range(period + 1, size, period):
        before = wave[start - period - 1 : start]
        wave[start : start + period] = loss * (before[1:] + before[:-1])
    t = times(ring)
    heard = np.interp(np.arange(len(t)) * stretch, np.arange(len(wave)), wave)
    return heard * bump(t, 0.001, 0.25)


def organ(rng: Generator, hz: float, seconds: float) -> Wave:
    """A drawbar organ with a slow tremulant."""
    t = times(seconds + 0.08)
    table = wavetable([1.0, 0.8, 0.6, 0.5, 0.05, 0.3, 0.02, 0.25])
    tremulant = 1 + 0.004 * np.sin(2 * np.pi * 5.6 * t)
    return play_table(table, hz * tremulant, t) * bump(t, 0.02, 0.08)


def music_box(rng: Generator, hz: float, seconds: float) -> Wave:
    """A steel comb's tooth: a clear tone with a few high partials that die at once."""
    t = times(seconds + 1.2)
    ratios = np.array([1.0, 2.0, 3.98, 6.27])
    tooth = modes(t, hz * ratios, [1.6, 0.9, 0.35, 0.12], [1.0, 0.18, 0.3, 0.22])
    return tooth * bump(t, 0.0015, 0.2)


def flute(rng: Generator, hz: float, seconds: float) -> Wave:
    """A flute: nearly a sine, with breath, and vibrato on notes that are held."""
    t = times(seconds + 0.06)
    vibrato = 1 + 0.007 * np.sin(2 * np.pi * 5.2 * t) * np.clip((t - 0.2) / 0.4, 0, 1)
    tone = play_table(wavetable([1.0, 0.35, 0.14, 0.04]), hz * vibrato, t)
    breath = noise_band(rng, len(t), hz, 4 * hz)
    chiff = noise_band(rng, len(t), 2 * hz, 6 * hz) * decay(t, 0.12)
    return (tone + 0.035 * breath + 0.08 * chiff) * bump(t, 0.045, 0.08)


def synth(rng: Generator, hz: float, seconds: float) -> Wave:
    """A bright sawtooth whose filter closes: two wavetables, the duller one staying longer."""
    t = times(seconds + 0.15)
    number = np.arange(1, max(4, min(30, int(14_000 / hz))) + 1)
    bright = play_table(wavetable(1 / number), hz, t) * decay(t, 0.35)
    dull = play_table(wavetable(1 / number**2), hz * 1.004, t) * decay(t, 0.9)
    return (bright + dull) * bump(t, 0.003, 0.12)


def choir(rng: Generator, hz: float, seconds: float) -> Wave:
    """Four singers on an open "ah", none quite in tune with the others."""
    t = times(seconds + 0.5)
    harmonic = hz * np.arange(1, max(3, int(5000 / hz)) + 1)
    vowel = sum(
        share * np.exp(-(((harmonic - formant) / width) ** 2))
        for formant, width, share in ((700, 220, 1.0), (1150, 250, 0.6), (2700, 400, 0.25))
    )
    table = wavetable((vowel + 0.02) / np.sqrt(harmonic / hz))
    sung = np.zeros_like(t)
    for _ in range(4):
        rate, depth = rng.uniform(4.5, 6.0), rng.uniform(0.003, 0.006)
        vibrato = depth * np.sin(2 * np.pi * (rate * t + rng.random()))
        sung += play_table(table, hz * (rng.normal(1, 0.003) + vibrato), t)
    return 0.25 * sung * bump(t, 0.3, 0.6)


def bass(rng: Generator, hz: float, seconds: float) -> Wave:
    """An electric bass: round, with a little finger noise at the start."""
    t = times(seconds + 0.05)
    number = np.arange(1, 13)
    bite = play_table(wavetable(1 / number), hz, t) * decay(t, 0.25)
    body = play_table(wavetable([1.0, 0.5, 0.15]), hz, t) * decay(t, 1.8)
    finger = 0.04 * noise_band(rng, len(t), 700, 3000) * decay(t, 0.03)
    return (0.4 * bite + body + finger) * bump(t, 0.004, 0.06)
