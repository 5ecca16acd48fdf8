"""Compiled subsequence dynamic time warping; see `engine.compiled` for who may import this.

Costs are 0 to FULL and sums of them take 16 bits, so that a processor adds sixteen or more at once.
Columns are counted unsigned: an index that might be negative is checked, which prevents that.
"""

import numpy as np
from numpy.typing import NDArray

from audiosearch.engine.compiled import compiled
from audiosearch.engine.tunes.alignment import LONGEST_STEP, STEP_COSTS
from audiosearch.engine.tunes.packing import CONTOUR_ROW, FULL
from audiosearch.engine.tunes.representation import CLASSES

BARRED = 1 << 15
"""More than the longest query can cost, and far enough from the end of uint16."""
PART_COLUMNS = 2048
"""Matched at once: two rows of sums stay in the fastest cache, and the costs in the second."""
FARTHEST_STEPS = 9
"""Three semitones between two contours, beyond which all distances cost the same."""
BY_ONE, BY_THREE, BY_FOUR = (np.uint16(STEP_COSTS[step - 1]) for step in (1, 3, 4))
ONE, TWO, THREE, FOUR = np.uint64(1), np.uint64(2), np.uint64(3), np.uint64(LONGEST_STEP)


@compiled
def sums_of_keys(
    table: NDArray[np.uint8],
    classes: NDArray[np.int64],
    rows: NDArray[np.int64],
    shares: tuple[int, int, int],
    tried: int,
) -> NDArray[np.int64]:
    """(tunings, keys) what the best path through a track costs in each key, summed over phases.

    table: of a `PackedTune`; classes: (tunings, keys, phases, frames) rows of the folded costs that
    a query takes; rows: the same of the table's unfolded costs, 0 where they are out of reach and
    cost FULL, or nothing where unfolded costs do not count; shares: 256ths of the folded, the
    unfolded and the contour's costs that count, of the unfolded ones all or none. All keys are
    tried in the first tuning, and in the others as many as `tried`, those that cost least in the
    first. BARRED by phase where a key was not tried or the track is too short.
    """
    tunings, keys, phases, frames = classes.shape
    melody = _melody(table, shares[0], shares[2])
    silent = np.full((1, table.shape[1]), FULL if shares[1] else 0, np.uint8)
    width = min(table.shape[1], PART_COLUMNS + LONGEST_STEP * frames)
    sums = np.full((2, width + LONGEST_STEP), BARRED, np.uint16)
    found = np.full((tunings, keys), phases * BARRED, np.int64)
    chosen = np.ones(keys, np.bool_)
    for tuning in range(tunings):
        if tuning == 1:
            _choose_lowest(found[0], tried, chosen)
        for key in range(keys):
            if not chosen[key]:
                continue
            total = 0
            for phase in range(phases):
                taken = classes[tuning, key, phase], rows[tuning, key, phase]
                total += _lowest_sum(melody, taken[0], table, taken[1], silent, sums)
            found[tuning, key] = total
    return found


@compiled
def _choose_lowest(sums: NDArray[np.int64], most: int, chosen: NDArray[np.bool_]) -> None:
    chosen[:] = False
    for _ in range(min(most, len(sums))):
        best = -1
        for key in range(len(sums)):
            if not chosen[key] and (best < 0 or sums[key] < sums[best]):
                best = key
        chosen[best] = True


@compiled
def _melody(table: NDArray[np.uint8], folded: int, contour: int) -> NDArray[np.uint8]:
    """(CLASSES, frames) so much of the folded costs, and of those by distance to the contour."""
    costs = np.empty((CLASSES, table.shape[1]), np.uint8)
    for row in range(CLASSES):
        _add_melody(row, table[row], table[CONTOUR_ROW], (folded, contour), costs[row])
    return costs


@compiled
def _add_melody(
    row: int,
    folded: NDArray[np.uint8],
    contour: NDArray[np.uint8],
    shares: tuple[int, int],
    costs: NDArray[np.uint8],
) -> None:
    wanted, share = np.uint8(row), np.uint16(shares[0])
    by_step = np.uint16(shares[1] * FULL // FARTHEST_STEPS)
    for column in range(len(costs)):
        there = contour[column]
        apart = np.uint8(max(wanted, there) - min(wanted, there))
        apart = min(apart, np.uint8(CLASSES - apart), np.uint8(FARTHEST_STEPS))
        melodic = np.uint16(np.uint16(apart) * by_step)
        harmonic = np.uint16(np.uint16(folded[column]) * share)
        costs[column] = np.uint8(np.uint16(melodic + harmonic + np.uint16(128)) >> np.uint16(8))


@compiled
def _lowest_sum(
    melody: NDArray[np.uint8],
    classes: NDArray[np.int64],
    table: NDArray[np.uint8],
    rows: NDArray[np.int64],
    silent: NDArray[np.uint8],
    sums: NDArray[np.uint16],
) -> int:
    """The cost of the best path through a track in one key; row 0 is `silent`."""
    columns = table.shape[1]
    lowest = BARRED
    for begin in range(0, columns, PART_COLUMNS):
        end = min(begin + PART_COLUMNS, columns)
        first = max(begin - LONGEST_STEP * len(rows), 0)  # no path is longer
        for frame in range(len(rows)):
            if rows[frame]:
                places = frame, classes[frame], rows[frame]
                _go_on(sums, melody, table, places, first, end - first)
            else:
                places = frame, classes[frame], 0
                _go_on(sums, melody, silent, places, first, end - first)
        lowest = min(lowest, _lowest(sums, (len(rows) - 1) % 2, end - first))
    return lowest


@compiled
def _go_on(
    sums: NDArray[np.uint16],
    melody: NDArray[np.uint8],
    table: NDArray[np.uint8],
    places: tuple[int, int, int],
    first: int,
    width: int,
) -> None:
    """One frame of the query on, from the cheapest of one to LONGEST_STEP columns before, a step of
    two of which costs nothing; sums of one frame are in a row of their own, and those of the next
    in the other."""
    begin, row, other = np.uint64(first), np.uint64(places[1]), np.uint64(places[2])
    last, following = np.uint64((places[0] + 1) % 2), np.uint64(places[0] % 2)
    if places[0] == 0:
        for number in range(width):
            column = np.uint64(number)
            here = begin + column
            sums[following, column + FOUR] = np.uint16(melody[row, here]) + table[other, here]
        return
    for number in range(width):
        column = np.uint64(number)
        here = begin + column
        nearer = min(np.uint16(sums[last, column + THREE] + BY_ONE), sums[last, column + TWO])
        farther = min(
            np.uint16(sums[last, column + ONE] + BY_THREE),
            np.uint16(sums[last, column] + BY_FOUR),
        )
        cost = np.uint16(np.uint16(melody[row, here]) + np.uint16(table[other, here]))
        sums[following, column + FOUR] = np.uint16(min(nearer, farther) + cost)


@compiled
def _lowest(sums: NDArray[np.uint16], row: int, width: int) -> int:
    lowest, last = np.uint16(BARRED), np.uint64(row)
    for number in range(width):
        lowest = min(lowest, sums[last, np.uint64(number) + FOUR])
    return int(lowest)
