"""Made songs for what recognises recordings: notes of decaying partials, no two songs alike."""

from pathlib import Path

import numpy as np

from audiosearch.engine.analyzers.landmarks.analyzer import LandmarkAnalyzer
from audiosearch.engine.analyzers.landmarks.representation import Landmarks
from audiosearch.engine.analyzers.landmarks.spectrum import SAMPLE_RATE
from audiosearch.engine.arrays import FloatArray


def made_song(seed: int, seconds: float = 20) -> FloatArray:
    """(n,) float32 mono at SAMPLE_RATE, the same for the same numbers."""
    rng = np.random.default_rng(seed)
    song = rng.normal(0, 1e-3, int(seconds * SAMPLE_RATE) + SAMPLE_RATE).astype(np.float32)
    beat = rng.uniform(0.18, 0.3)
    for start in np.arange(0, seconds, beat):
        at = int(start * SAMPLE_RATE)
        for _ in range(rng.integers(1, 4)):
            note = _note(rng, 110 * 2 ** (rng.integers(0, 40) / 12), rng.uniform(0.2, 0.9))
            song[at : at + len(note)] += note[: len(song) - at]
    song = song[: int(seconds * SAMPLE_RATE)]
    return np.asarray(song / np.abs(song).max() * 0.7, np.float32)


def _note(rng: np.random.Generator, hz: float, seconds: float) -> FloatArray:
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    partials = [
        np.sin(2 * np.pi * hz * number * time) / number ** rng.uniform(0.7, 1.5)
        for number in range(1, 9)
        if hz * number < 5000
    ]
    return np.asarray(sum(partials) * np.exp(-4 * time / seconds), np.float32)


def analysed(samples: FloatArray) -> Landmarks:
    """The landmarks of these samples, fed at once."""
    stream = LandmarkAnalyzer(Path()).begin(len(samples) * 1000 // SAMPLE_RATE, SAMPLE_RATE)
    stream.feed(samples)
    found = stream.finish()
    assert isinstance(found, Landmarks)
    return found
