"""What sounds strongest, be it a melody or not: what tells music from noise, and several sounds at
once from one voice."""

import numpy as np

from audiosearch.engine.arrays import FloatArray
from audiosearch.engine.tunes.contour import smoothest_path
from audiosearch.engine.tunes.representation import POOLED
from audiosearch.engine.tunes.salience import (
    BINS,
    BRIGHTNESS,
    KEYS,
    LOWEST_KEY,
    STEPS,
)

JUMP, FARTHEST_JUMP = 0.3, 2.5
"""Cost by third of a semitone, and of any jump; in salience."""
FAINTEST, CLEAREST = 0.5, 3.0
"""Salience of the path from which on a frame is harmonic, and in means of all pitches."""


def strongest(salience: FloatArray) -> FloatArray:
    """(n // POOLED,) MIDI numbers with fractions of the path that is strong and smooth, NaN where
    nothing is harmonic; salience: (n, BINS) of frames."""
    weights = 1 + BRIGHTNESS * (np.arange(BINS) / STEPS - KEYS / 2)
    path = smoothest_path(salience * weights.astype(np.float32), JUMP, FARTHEST_JUMP)
    pooled = salience.reshape(-1, POOLED, BINS).mean(axis=1)
    middle = np.median(path.reshape(-1, POOLED), axis=1)
    height = pooled[np.arange(len(pooled)), middle.astype(int)]
    harmonic = (height >= FAINTEST) & (height >= CLEAREST * pooled.mean(axis=1))
    return np.where(harmonic, LOWEST_KEY + middle / STEPS, np.nan).astype(np.float32)
