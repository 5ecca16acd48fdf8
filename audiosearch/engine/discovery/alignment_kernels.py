"""Compiled loops over hashes that two recordings share; see `engine.compiled`."""

import numpy as np
from numpy.typing import NDArray

from audiosearch.engine.compiled import compiled


@compiled
def near_pairs(
    lows: NDArray[np.int64],
    highs: NDArray[np.int64],
    firsts: NDArray[np.int64],
    others: NDArray[np.int32],
    offset: float,
    reach: float,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which hash of the one is that of the other, and by how many frames it is off the line.

    lows, highs: where in `others` the frames of each hash begin and end; firsts: its own frames.
    What is more than `reach` frames off `offset` is left out.
    """
    count = 0
    for at in range(len(lows)):
        for place in range(lows[at], highs[at]):
            if abs(others[place] - firsts[at] - offset) <= reach:
                count += 1
    hashes = np.empty(count, np.int64)
    off = np.empty(count, np.int64)
    count = 0
    for at in range(len(lows)):
        for place in range(lows[at], highs[at]):
            if abs(others[place] - firsts[at] - offset) <= reach:
                hashes[count] = at
                off[count] = others[place] - firsts[at]
                count += 1
    return hashes, off


@compiled
def best_line(
    frames: NDArray[np.int64], off: NDArray[np.int64], slopes: NDArray[np.float64], tolerance: int
) -> tuple[float, float]:
    """Slope and offset of the line that most pairs lie near: off = offset + slope * frame."""
    best, best_slope, best_offset = -1, 0.0, 0.0
    places = np.empty(len(frames), np.int64)
    for slope in slopes:
        lowest, highest = np.int64(1 << 60), -np.int64(1 << 60)
        for at in range(len(frames)):
            places[at] = np.int64(np.floor(off[at] - slope * frames[at] + 0.5))
            lowest, highest = min(lowest, places[at]), max(highest, places[at])
        counts = np.zeros(highest - lowest + 2 * tolerance + 1, np.int64)
        for at in range(len(frames)):
            counts[places[at] - lowest + tolerance] += 1
        total = np.int64(0)
        for at in range(len(counts)):
            total += counts[at]
            if at > 2 * tolerance:
                total -= counts[at - 2 * tolerance - 1]
            if at >= 2 * tolerance and total > best:
                best, best_slope = total, slope
                best_offset = float(lowest + at - 2 * tolerance)
    return best_slope, best_offset


@compiled
def densest_stretch(aligned: NDArray[np.bool_], least: float) -> tuple[int, int]:
    """First and last index plus one of the run in which most more than a share `least` is aligned.

    After J. Kadane (J. Bentley, Programming Pearls, Communications of the ACM 27, 1984).
    """
    begin, best_begin, best_end = 0, 0, 0
    total, best = 0.0, 0.0
    for at in range(len(aligned)):
        if total <= 0:
            total, begin = 0.0, at
        total += (1.0 if aligned[at] else 0.0) - least
        if total > best:
            best, best_begin, best_end = total, begin, at + 1
    return best_begin, best_end
