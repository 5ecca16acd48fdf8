"""What a few seconds of a tune are by their intervals, in whatever key they are heard."""

import numpy as np
from numpy.typing import NDArray

from audiosearch.engine.arrays import FloatArray
from audiosearch.engine.tunes.representation import Tune
from audiosearch.engine.tunes.salience import KEYS, LOWEST_KEY

SLOTS = 10
"""Equal parts of a window."""
LAGS = 5
"""Slots are compared with so many after them."""
FARTHEST = 12
"""Semitones up or down of an interval."""
INTERVALS = 2 * FARTHEST + 1
SLOT_PAIRS = SLOTS * LAGS - LAGS * (LAGS + 1) // 2
FEATURES = SLOT_PAIRS * INTERVALS
REACH = 1.5
"""Semitones from a key beyond which a pitch is none of it."""


def patches_of(frames: FloatArray) -> FloatArray:
    """(n, SLOTS, KEYS) means over equal parts, to fractions of a frame; frames: (n, m, KEYS)."""
    count = frames.shape[1]
    edges = np.linspace(0, count, SLOTS + 1)
    below = np.minimum(edges.astype(np.int64), count - 1)
    share = (edges - below)[:, None].astype(np.float32)
    sums = np.concatenate([np.zeros_like(frames[:, :1]), frames.cumsum(axis=1)], axis=1)
    at = sums[:, below] + frames[:, below] * share
    return np.asarray(np.diff(at, axis=1) * np.float32(SLOTS / count), np.float32)


def query_patches(lines: FloatArray) -> FloatArray:
    """(n, SLOTS, KEYS) of lines of single pitches, whatever their height; lines: (n, m) semitones.

    Each is moved by whole semitones until its median is in the middle of the keys.
    """
    middle = np.round(np.median(lines, axis=1, keepdims=True)) - KEYS // 2
    return patches_of(_sounding(lines - middle))


def recording_features(tune: Tune, begins: NDArray[np.int64], frames: int) -> FloatArray:
    """(n, 2 * FEATURES) of windows: the intervals of its salience, and of its predominant contour.

    begins: (n,) frames that windows of so many frames begin at; all of it must be in the tune.
    """
    at = begins[:, None] + np.arange(frames)
    salience = tune.unfolded[at].astype(np.float32) / 255
    contour = _sounding(np.nan_to_num(tune.contour_keys[at] - LOWEST_KEY, nan=-KEYS))
    return np.hstack([intervals(patches_of(salience)), intervals(patches_of(contour))])


def _sounding(lines: FloatArray) -> FloatArray:
    """(n, m, KEYS) in 0..1: lines of single pitches as salience; lines: (n, m), 0 the lowest."""
    apart = np.abs(lines[..., None] - np.arange(KEYS, dtype=np.float32))
    return np.asarray(np.maximum(0, 1 - apart / REACH), np.float32)


def intervals(patches: FloatArray) -> FloatArray:
    """(n, FEATURES): how strongly each interval lies between each slot and those after it.

    patches: (n, SLOTS, KEYS). The correlation of two slots along the keys stays the same when both
    are moved; its root is taken, as strengths of both are in it, and less its mean, as that says
    how much sounds and not what.
    """
    margin = ((0, 0), (0, 0), (FARTHEST, FARTHEST))
    around = np.pad(patches, margin)
    moved = np.lib.stride_tricks.sliding_window_view(around, KEYS, axis=2)
    found = np.concatenate(
        [moved[:, lag:] @ patches[:, :-lag, :, None] for lag in range(1, LAGS + 1)], axis=1
    )[..., 0]
    roots = np.sqrt(np.maximum(found, 0))
    roots -= roots.mean(axis=2, keepdims=True)
    return np.asarray(roots.reshape(len(patches), FEATURES), np.float32)
