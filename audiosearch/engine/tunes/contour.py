"""The smoothest path through strong pitches, by dynamic programming (A. Viterbi, 1967)."""

import numpy as np
from numpy.typing import NDArray

from audiosearch.engine.arrays import FloatArray


def smoothest_path(strengths: FloatArray, per_step: float, at_most: float) -> NDArray[np.int64]:
    """(n,) the column of each row that makes the sum of strengths highest, less the cost of jumps.

    strengths: (n, columns); a jump costs `per_step` for each column, and `at_most` however far.
    """
    if not len(strengths):
        return np.zeros(0, np.int64)
    columns = np.arange(strengths.shape[1], dtype=np.float32)
    climb = columns * np.float32(per_step)
    best = np.empty_like(strengths)
    best[0] = strengths[0]
    for row in range(1, len(strengths)):
        before = best[row - 1]
        rising = np.maximum.accumulate(before + climb) - climb
        falling = np.maximum.accumulate((before - climb)[::-1])[::-1] + climb
        reached = np.maximum(rising, falling, out=rising)
        np.maximum(reached, before.max() - at_most, out=reached)
        np.add(reached, strengths[row], out=best[row])
        best[row] -= best[row].max()  # only differences count, and float32 holds them small
    path = np.empty(len(strengths), np.int64)
    path[-1] = best[-1].argmax()
    for row in range(len(strengths) - 1, 0, -1):
        jumps = np.minimum(np.abs(columns - path[row]) * per_step, at_most)
        path[row - 1] = (best[row - 1] - jumps).argmax()
    return path
