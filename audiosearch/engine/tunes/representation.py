"""What is kept of a recording to find its tune by."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from audiosearch.engine.analyzers.base import Representation
from audiosearch.engine.arrays import FloatArray
from audiosearch.engine.tunes.salience import HOP, KEYS, LOWEST_KEY, SAMPLE_RATE, STEPS

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
    harmonic; tuning: (1,) float32, semitones above 440 Hz, which the others are free of; harmonic:
    (1,) float32, share of the recording in which something is harmonic. Where there is no melody
    in it, n is 0.
    """

    kept = ("folded", "unfolded", "contour", "tuning", "harmonic")

    folded: NDArray[np.uint8]
    unfolded: NDArray[np.uint8]
    contour: NDArray[np.uint8]
    tuning: FloatArray
    harmonic: FloatArray = field(default_factory=lambda: np.ones(1, np.float32))

    @classmethod
    def without_melody(cls, harmonic_share: float) -> "Tune":
        """That of a recording in which too little is harmonic for a melody to be there."""
        return cls(
            folded=np.zeros((0, CLASSES), np.uint8),
            unfolded=np.zeros((0, KEYS), np.uint8),
            contour=np.zeros(0, np.uint8),
            tuning=np.zeros(1, np.float32),
            harmonic=np.array([harmonic_share], np.float32),
        )

    def __len__(self) -> int:
        return len(self.contour)

    @property
    def harmonic_share(self) -> float:
        """Share of the recording in which something is harmonic."""
        return float(self.harmonic[0])

    @property
    def melodic(self) -> bool:
        """Whether there can be a tune in it; if not, nothing else is kept."""
        return len(self) > 0

    @property
    def contour_keys(self) -> FloatArray:
        """(n,) the contour as MIDI numbers with fractions; NaN where nothing is harmonic."""
        keys = LOWEST_KEY + (self.contour.astype(np.float32) - 1) / CONTOUR_STEPS
        return np.where(self.contour > 0, keys, np.float32(np.nan))
