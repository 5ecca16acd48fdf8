"""A tune that is asked for, as one line of pitches: a hum, a whistle, a stretch of a recording."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audiosearch.engine.arrays import FloatArray
from audiosearch.engine.tunes.pitch import track_pitch
from audiosearch.engine.tunes.representation import FRAME_MS, POOLED, Tune
from audiosearch.engine.tunes.salience import HOP, SAMPLE_RATE

SHORTEST_S = 3.0
LONGEST_FRAMES = 100
"""20 s of what is voiced."""
QUIETEST = 3e-4
"""Root mean square, of 1 full scale: -70 dBFS."""
SHORTEST_NOTE = 5
"""Frames of 20 ms; what is voiced for less is none."""
SMOOTHED = 9
NARROWEST = 0.8
"""Semitones between the tenth and the ninetieth percentile of a tune, at least."""


@dataclass(frozen=True)
class TuneQuery:
    """The pitches of a tune where it is voiced, rests left out, five a second.

    keys: (n,) float32, MIDI numbers with fractions, n at most LONGEST_FRAMES; times_ms: (n,)
    float32, when each is heard, from the beginning of the sound or stretch; seconds: of it; level:
    root mean square where it is loud.
    """

    keys: FloatArray
    times_ms: FloatArray
    seconds: float
    level: float

    @classmethod
    def from_samples(cls, samples: FloatArray, rate: int) -> "TuneQuery":
        """What one voice hums, sings or whistles; (n,) mono in -1..1 at `rate` Hz."""
        if rate != SAMPLE_RATE:
            import soxr

            samples = soxr.resample(np.asarray(samples, np.float32), rate, SAMPLE_RATE)
        track = track_pitch(np.asarray(samples, np.float32))
        heard = np.flatnonzero(_lasting(track.voiced))[: LONGEST_FRAMES * POOLED]
        heard = heard[: len(heard) // POOLED * POOLED]
        keys = np.median(_smoothed(track.keys[heard]).reshape(-1, POOLED), axis=1)
        times = heard.reshape(-1, POOLED).mean(axis=1) * (1000 * HOP / SAMPLE_RATE)
        seconds = len(samples) / SAMPLE_RATE
        return cls(keys.astype(np.float32), times.astype(np.float32), seconds, track.level)

    @classmethod
    def from_tune(cls, tune: Tune, start_ms: int, end_ms: int) -> "TuneQuery":
        """The predominant pitches of a stretch of a recording."""
        stretch = slice(start_ms // FRAME_MS, -(-end_ms // FRAME_MS))
        keys = tune.contour_keys[stretch]
        heard = np.flatnonzero(~np.isnan(keys))[:LONGEST_FRAMES]
        times = (heard + 0.5) * FRAME_MS
        seconds = len(keys) * FRAME_MS / 1000
        return cls(keys[heard], times.astype(np.float32), seconds, 1.0)

    @property
    def voiced_seconds(self) -> float:
        """How much of it is voiced."""
        return len(self.keys) * FRAME_MS / 1000

    @property
    def tuning(self) -> float:
        """Semitones in -0.5..0.5 by which it lies above the keys of a piano, on the whole."""
        turn = np.exp(2j * np.pi * self.keys.astype(np.float64)).sum()
        return float(np.angle(turn) / (2 * np.pi)) if len(self.keys) else 0.0


def why_unfit(query: TuneQuery) -> str:
    """Why no tune can be found by this sound, as a sentence; empty when it can be tried."""
    if query.seconds < SHORTEST_S:
        return f"This is too short: hum at least {SHORTEST_S:g} seconds, better ten."
    if query.level < QUIETEST:
        return "This is silence, or too quiet to hear a tune in it."
    if query.voiced_seconds < SHORTEST_S:
        return (
            f"There is too little of a voice or a whistle in this: {query.voiced_seconds:.1f} of "
            f"{query.seconds:.1f} seconds have a pitch, and {SHORTEST_S:g} are needed."
        )
    low, high = np.quantile(query.keys, (0.1, 0.9))
    if high - low < NARROWEST:
        return "This is one constant tone, and no tune."
    return ""


def _lasting(voiced: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where it is voiced for SHORTEST_NOTE frames or more."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], voiced, [False]]).astype(np.int8)))
    lasting = np.zeros(len(voiced), bool)
    for begin, end in edges.reshape(-1, 2):
        lasting[begin:end] = end - begin >= SHORTEST_NOTE
    return lasting


def _smoothed(keys: FloatArray) -> FloatArray:
    """Running medians: no glide or slip of an octave of less than a tenth of a second is left."""
    around = np.pad(keys, SMOOTHED // 2, mode="edge") if len(keys) else keys
    if len(around) < SMOOTHED:
        return keys
    windows = np.lib.stride_tricks.sliding_window_view(around, SMOOTHED)
    return np.asarray(np.median(windows, axis=1), np.float32)
