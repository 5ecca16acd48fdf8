"""Subsequence dynamic time warping of the best hits: which frame of a track is which of a query.

After M. Müller, Information Retrieval for Music and Motion, Springer 2007, chapter 4. A step goes
one frame on in both, or two in one of them, so that tempi from half to twice the query's are
reached.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audiosearch.engine.tunes.packing import FULL

BARRED = 1 << 30
"""More than any path costs."""
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

    costs: (frames of the query, frames of the track). Empty where the track is too short.
    """
    rows, columns = costs.shape
    sums = np.full((rows, columns + 2), BARRED, np.int64)
    sums[0, 2:] = costs[0]
    for row in range(1, rows):
        reached = np.minimum(sums[row - 1, 1:-1], sums[row - 1, :-2])
        if row > 1:
            reached = np.minimum(reached, sums[row - 2, 1:-1] + costs[row])
        sums[row, 2:] = reached + costs[row]
    row, column = rows - 1, int(sums[-1].argmin())
    if sums[row, column] >= BARRED:
        return []
    path = [(row, column - 2)]
    while row > 0:
        rest = sums[row, column] - costs[row, column - 2]
        if rest == sums[row - 1, column - 1]:
            row, column = row - 1, column - 1
        elif rest == sums[row - 1, column - 2]:
            row, column = row - 1, column - 2
        else:
            row, column = row - 2, column - 1
        path.append((row, column - 2))
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
