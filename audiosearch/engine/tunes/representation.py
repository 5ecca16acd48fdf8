"""What is kept of a recording to find its tune by."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audiosearch.engine.analyzers.base import Representation
from audiosearch.engine.arrays import FloatArray
from audiosearch.engine.tunes.salience import HOP, LOWEST_KEY, SAMPLE_RATE, STEPS

FRAMES_PER_SECOND = 5
FRAME_MS = 1000 // FRAMES_PER_SECOND
POOLED = SAMPLE_RATE // HOP // FRAMES_PER_SECOND
"""Frames of 20 ms that one that is kept is made of."""
CLASSES = 12 * STEPS
"""Pitch classes, a third of a semitone each."""
CONTOUR_STEPS = 5
MELODIC = 0.2
"""Share of harmonic frames from which on a recording may hold a tune."""


@dataclass(frozen=True)
class Tune(Representation):
    """How strongly each pitch sounds in a recording, five frames a second; 1.5 MB an hour.

    folded: (n, CLASSES) uint8, the octaves on each other, 255 the strongest of a frame, less what
    sounds all the time; unfolded: (n, KEYS) uint8, the same from MIDI LOWEST_KEY on; contour: (n,)
    uint8, of the predominant pitch, fifths of a semitone and 1 for LOWEST_KEY, 0 where nothing is
    harmonic; tuning: (1,) float32, semitones above 440 Hz, which the others are free of.
    """

    kept = ("folded", "unfolded", "contour", "tuning")

    folded: NDArray[np.uint8]
    unfolded: NDArray[np.uint8]
    contour: NDArray[np.uint8]
    tuning: FloatArray

    def __len__(self) -> int:
        return len(self.contour)

    @property
    def harmonic_share(self) -> float:
        """Share of the frames in which something is harmonic."""
        return float((self.contour > 0).mean()) if len(self) else 0.0

    @property
    def melodic(self) -> bool:
        """Whether there can be a tune in it."""
        return self.harmonic_share >= MELODIC

    @property
    def contour_keys(self) -> FloatArray:
        """(n,) the contour as MIDI numbers with fractions; NaN where nothing is harmonic."""
        keys = LOWEST_KEY + (self.contour.astype(np.float32) - 1) / CONTOUR_STEPS
        return np.where(self.contour > 0, keys, np.float32(np.nan))
