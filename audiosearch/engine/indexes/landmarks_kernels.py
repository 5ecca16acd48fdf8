"""Compiled loops over postings and peaks; see `engine.compiled` for who may import this.

Frames are those of a segment, in which tracks lie one behind the other.
"""

import numpy as np
from numpy.typing import NDArray

from audiosearch.engine.compiled import compiled

BIAS = 1 << 20
WEIGHT_BITS = 5
BLOCK_BITS = 8
Keys = NDArray[np.uint32] | NDArray[np.int64]


def room_for_keys(count: int, frames: int) -> Keys:
    """Memory for keys of a segment of so many frames: the shorter ones sort in half the time."""
    short = (frames + BIAS) << WEIGHT_BITS <= np.iinfo(np.uint32).max
    return np.empty(count, np.uint32) if short else np.empty(count, np.int64)


@compiled
def gather_votes(
    lows: NDArray[np.int64],
    highs: NDArray[np.int64],
    frames: NDArray[np.int32],
    weights: NDArray[np.int64],
    posts: NDArray[np.uint32],
    blocks: int,
    opened: NDArray[np.bool_],
    keys: Keys,
) -> Keys:
    """A key for each posting of each hash: the offset it speaks for, and in low bits its weight.

    lows, highs: where the postings of each hash begin and end; weights: below 1 << WEIGHT_BITS, 0
    says nothing; blocks: of the segment; opened: which of these, or empty for all: what is in
    others is passed over; keys: where there is room for all.
    """
    count, everything = 0, not len(opened)
    for at in range(len(lows)):
        if weights[at]:
            for place in range(lows[at], highs[at]):
                frame = np.int64(posts[place])
                block = frame >> BLOCK_BITS  # beyond the last where a mapped file is damaged
                if block < blocks and (everything or opened[block]):
                    keys[count] = ((frame - frames[at] + BIAS) << WEIGHT_BITS) | weights[at]
                    count += 1
    return keys[:count]


@compiled
def find_postings(
    hashes: NDArray[np.uint32], wanted: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where each of the wanted hashes, which may be any numbers, begins and ends in ascending ones.

    It takes a third of the time of NumPy's searchsorted, to both sides of sorted keys.
    """
    lows = np.zeros(len(wanted), np.int64)
    highs = np.zeros(len(wanted), np.int64)
    for at in range(len(wanted)):
        left, right = 0, len(hashes)
        while left < right:
            middle = (left + right) >> 1
            if np.int64(hashes[middle]) < wanted[at]:
                left = middle + 1
            else:
                right = middle
        lows[at] = left
        while right < len(hashes) and np.int64(hashes[right]) == wanted[at]:
            right += 1
        highs[at] = right
    return lows, highs


@compiled
def count_opened(
    lows: NDArray[np.int64],
    highs: NDArray[np.int64],
    posts: NDArray[np.uint32],
    opened: NDArray[np.bool_],
) -> NDArray[np.int64]:
    """How many postings of each hash are in blocks that are `opened`; without a branch for each."""
    counts, last = np.zeros(len(lows), np.int64), np.int64(len(opened) - 1)
    for at in range(len(lows)):
        count = np.int64(0)
        for place in range(lows[at], highs[at]):
            block = np.int64(posts[place]) >> BLOCK_BITS
            count += np.int64(block <= last and opened[min(block, last)])
        counts[at] = count
    return counts


@compiled
def sum_votes(keys: Keys, tolerance: int) -> NDArray[np.int64]:
    """For each key, the weights of those up to `tolerance` frames later; keys are sorted."""
    low_bits = (1 << WEIGHT_BITS) - 1
    sums = np.empty(len(keys), np.int64)
    ahead, total = 0, np.int64(0)
    for at in range(len(keys)):
        offset = keys[at] >> WEIGHT_BITS
        while ahead < len(keys) and (keys[ahead] >> WEIGHT_BITS) - offset <= tolerance:
            total += keys[ahead] & low_bits
            ahead += 1
        sums[at] = total
        total -= keys[at] & low_bits
    return sums


@compiled
def separate_offsets(
    keys: Keys, sums: NDArray[np.int64], apart: int, least: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Offsets with `least` votes, more than `apart` frames apart, ascending, and their votes.

    The best ones stay, and are the same for any `least` that they reach.
    """
    most = 0
    for at in range(len(sums)):
        most += sums[at] >= least
    offsets = np.empty(most, np.int64)
    votes = np.empty(most, np.int64)
    count = 0
    for at in range(len(keys)):
        if sums[at] < least:
            continue
        offset = (keys[at] >> WEIGHT_BITS) - BIAS
        if count and offset - offsets[count - 1] <= apart:
            if sums[at] > votes[count - 1]:
                offsets[count - 1], votes[count - 1] = offset, sums[at]
        else:
            offsets[count], votes[count] = offset, sums[at]
            count += 1
    return offsets[:count], votes[:count]


@compiled
def cap_tracks(
    offsets: NDArray[np.int64],
    votes: NDArray[np.int64],
    starts: NDArray[np.int64],
    length: int,
    most: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which offsets are among the `most` best of their track, and whose each of them is.

    offsets: ascending, of a query of `length` frames, which may begin before a track; starts: of
    each track.
    """
    kept = np.empty(len(offsets), np.int64)
    tracks = np.empty(len(offsets), np.int64)
    count, first, track = 0, 0, 0
    for at in range(len(offsets)):
        while track + 1 < len(starts) and starts[track + 1] <= offsets[at] + length:
            track += 1
            first = count
        if count - first < most:
            kept[count], tracks[count] = at, track
            count += 1
            continue
        worst = first
        for other in range(first + 1, count):
            if votes[kept[other]] < votes[kept[worst]]:
                worst = other
        if votes[kept[worst]] < votes[at]:
            kept[worst] = at
    return kept[:count], tracks[:count]


@compiled
def find_spans(
    frames: NDArray[np.uint32], lows: NDArray[np.int64], highs: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where the `frames`, ascending, from each low to before each high begin and end.

    NumPy's searchsorted would copy mapped frames whole to compare them with signed ones.
    """
    begins = np.empty(len(lows), np.int64)
    ends = np.empty(len(lows), np.int64)
    for at in range(len(lows)):
        for bound in range(2):
            wanted = lows[at] if bound == 0 else highs[at]
            left, right = 0, len(frames)
            while left < right:
                middle = (left + right) >> 1
                if np.int64(frames[middle]) < wanted:
                    left = middle + 1
                else:
                    right = middle
            if bound == 0:
                begins[at] = left
            else:
                ends[at] = left
    return begins, ends
