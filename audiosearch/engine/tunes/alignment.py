"""Subsequence dynamic time warping of the best hits: which frame of a track is which of a query.

After M. Müller, Information Retrieval for Music and Motion, Springer 2007, chapter 4. Two frames of
the query take one to four of the track, so that tempi from half to twice the query's are reached.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audiosearch.engine.tunes.packing import FULL

BARRED = 1 << 30
"""More than any path costs."""
STEP_COSTS = 90, 0, 25, 120
"""Of a step by one frame of the track to four, for two of the query, where a pitch that does not
sound costs 2 * FULL: a tempo that comes and goes is no tempo, and who stands still on what fits
would be cheapest."""
LONGEST_STEP = len(STEP_COSTS)
"""Frames of the track that two of the query take, at most; at least one."""
AGREEING = 0.5
"""Of FULL: of a path, frames that cost less speak for it and others against it."""


@dataclass(frozen=True)
class Stretch:
    """What of a query and of a track agrees: frames of both, ends included."""

    query_begin: int
    query_end: int
    begin: int
    end: int


def align(costs: NDArray[np.uint8]) -> list[tuple[int, int]]:
    """The best path as (frame of the query, frame of the track), the query's first one first.

    costs: (frames of the query, frames of the track), two and more of the query to one of the track
    at most. The second frame of each two of the query is where the first is or one on; a last
    single one is left out.
    """
    first, second = (costs[one : len(costs) // 2 * 2 : 2].astype(np.int64) for one in (0, 1))
    later = np.pad(second[:, 1:], ((0, 0), (0, 1)), constant_values=BARRED)
    paired = first + np.minimum(second, later)
    sums = np.full((len(paired), LONGEST_STEP + costs.shape[1]), BARRED)
    farthest_first = np.array(STEP_COSTS[::-1])
    sums[0, LONGEST_STEP:] = paired[0]
    for row in range(1, len(paired)):
        before = [
            sums[row - 1, place : place - LONGEST_STEP] + cost
            for place, cost in enumerate(farthest_first)
        ]
        sums[row, LONGEST_STEP:] = np.minimum.reduce(before) + paired[row]
    column = int(sums[-1].argmin())
    path: list[tuple[int, int]] = []
    for row in range(len(paired) - 1, -1, -1):
        there = column - LONGEST_STEP
        path.append((2 * row + 1, there + int(later[row, there] < second[row, there])))
        path.append((2 * row, there))
        if row:
            column = there + int((sums[row - 1, there:column] + farthest_first).argmin())
    return path[::-1]


def agreeing(costs: NDArray[np.uint8], path: list[tuple[int, int]]) -> Stretch:
    """The part of a path that speaks most for it: the highest sum of what frames are below
    AGREEING of FULL; costs as for `align`."""
    gains = [AGREEING * FULL - float(costs[place]) for place in path]
    best, begin, end = gains[0], 0, 0
    total, first = 0.0, 0
    for place, gain in enumerate(gains):
        if total <= 0:
            total, first = 0.0, place
        total += gain
        if total > best:
            best, begin, end = total, first, place
    return Stretch(path[begin][0], path[end][0], path[begin][1], path[end][1])
