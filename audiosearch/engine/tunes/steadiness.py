"""Whether a voice holds its pitch, as who hums, sings or whistles does and who speaks does not."""

import numpy as np
from numpy.typing import NDArray

from audiosearch.engine.arrays import FloatArray

SHORTEST_NOTE = 5
"""Frames of 20 ms; what is voiced for less is none."""
HELD_FRAMES, HELD_WITHIN = 8, 0.5
"""160 ms within half a semitone: a note that is held."""
VIBRATO_FRAMES = 9
"""The mean over a period of a vibrato, of some 5.5 Hz, is free of it."""


def lasting(voiced: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where it is voiced for SHORTEST_NOTE frames or more."""
    found = np.zeros(len(voiced), bool)
    for begin, end in _runs(voiced):
        found[begin:end] = end - begin >= SHORTEST_NOTE
    return found


def held_share(keys: FloatArray, voiced: NDArray[np.bool_]) -> float:
    """Share of what is voiced in which the pitch is held for HELD_FRAMES within HELD_WITHIN.

    keys: (n,) MIDI numbers, one each 20 ms; voiced: (n,).
    """
    held = np.zeros(len(voiced), bool)
    for begin, end in _runs(voiced):
        if end - begin < HELD_FRAMES:
            continue
        around = np.pad(keys[begin:end], VIBRATO_FRAMES // 2, mode="edge")
        smooth = np.convolve(around, np.full(VIBRATO_FRAMES, 1 / VIBRATO_FRAMES), mode="valid")
        windows = np.lib.stride_tricks.sliding_window_view(smooth, HELD_FRAMES)
        steady = windows.max(axis=1) - windows.min(axis=1) <= HELD_WITHIN
        for first in begin + np.flatnonzero(steady):
            held[first : first + HELD_FRAMES] = True
    return float(held.sum() / max(1, voiced.sum()))


def _runs(voiced: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(n, 2) where each stretch of what is voiced begins and ends."""
    edges = np.diff(np.concatenate([[False], voiced, [False]]).astype(np.int8))
    return np.flatnonzero(edges).reshape(-1, 2)
