"""Melodies, and how they are hummed, whistled and played with chords; from seeds."""

import numpy as np

from audiosearch.engine.arrays import FloatArray
from audiosearch.engine.tunes.salience import SAMPLE_RATE

Notes = list[tuple[float, float, float]]
"""When each begins and how long it lasts, in seconds, and its MIDI number."""
SCALE = (0, 2, 4, 5, 7, 9, 11)


def made_melody(seed: int, seconds: float = 30) -> Notes:
    """A walk over two octaves of a major scale."""
    rng = np.random.default_rng((40, seed))
    degree, at, notes = 7, 0.0, []
    while at < seconds:
        degree = int(np.clip(degree + rng.choice((-3, -2, -1, -1, 1, 1, 2, 3)), 0, 13))
        length = float(rng.choice((0.2, 0.3, 0.3, 0.6)))
        notes.append((at, length, 60.0 + 12 * (degree // 7) + SCALE[degree % 7]))
        at += length
    return notes


def stretch(notes: Notes, begin: int, seconds: float) -> Notes:
    """The notes from one of them on, for so long, from 0 s on."""
    first = notes[begin][0]
    return [(at - first, length, key) for at, length, key in notes if 0 <= at - first < seconds]


def played(
    notes: Notes, *, key: float = 0, tempo: float = 1.0, harmonics: int = 8, chords: bool = False
) -> FloatArray:
    """(n,) at SAMPLE_RATE: so many semitones higher, so much faster; 1 harmonic is a whistle."""
    ending = max(at + length for at, length, _ in notes) / tempo
    wave = np.zeros(round((ending + 0.1) * SAMPLE_RATE))
    for at, length, pitch in notes:
        _add(wave, at / tempo, length / tempo, pitch + key, harmonics, 1.0)
    for at in np.arange(0, ending if chords else 0, 1.5):
        for pitch in (36, 48, 52, 55):
            _add(wave, at, 1.4, pitch + key, 6, 0.25)
    return np.asarray(wave / np.abs(wave).max() * 0.5, np.float32)


def noise(seconds: float, level: float = 0.1) -> FloatArray:
    """White noise of this root mean square."""
    size = round(seconds * SAMPLE_RATE)
    return np.random.default_rng(41).normal(0, level, size).astype(np.float32)


def mains(seconds: float) -> FloatArray:
    """The hum of a transformer: harmonics of 100 Hz that never change."""
    return played([(0, seconds, 69 + 12 * np.log2(100 / 440))])


def _add(
    wave: FloatArray, at: float, seconds: float, key: float, harmonics: int, gain: float
) -> None:
    begin = round(at * SAMPLE_RATE)
    t = np.arange(min(round(seconds * SAMPLE_RATE), len(wave) - begin)) / SAMPLE_RATE
    hz = 440 * 2 ** ((key - 69) / 12)
    loud = gain * np.clip(np.minimum(t / 0.02, (seconds - t) / 0.03), 0, 1)
    for harmonic in range(1, harmonics + 1):
        if hz * harmonic < SAMPLE_RATE / 2:
            turns = 2 * np.pi * hz * harmonic * t + harmonic
            wave[begin : begin + len(t)] += loud * np.sin(turns) / harmonic**1.5
