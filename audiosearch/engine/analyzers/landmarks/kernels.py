"""Compiled loops over peaks; see `engine.compiled` for who may import this."""

import numpy as np
from numpy.typing import NDArray

from audiosearch.engine.compiled import compiled


@compiled
def pair_peaks(
    frames: NDArray[np.int32], bins: NDArray[np.int32], fan: int, limits: tuple[int, int, int]
) -> tuple[NDArray[np.uint32], NDArray[np.int32]]:
    """Hashes of each peak with the next `fan` ones in reach, and the frame of each pair's first.

    limits: least and most frames between the two (the most not included), most bins.
    """
    nearest, farthest, widest = limits
    hashes = np.empty(len(frames) * fan, np.uint32)
    firsts = np.empty(len(frames) * fan, np.int32)
    count = 0
    for one in range(len(frames)):
        paired = 0
        for other in range(one + 1, len(frames)):
            later = frames[other] - frames[one]
            if later >= farthest or paired >= fan:
                break
            higher = bins[other] - bins[one]
            if later < nearest or abs(higher) > widest:
                continue
            hashes[count] = (bins[one] << 13) | ((higher + widest) << 6) | later
            firsts[count] = frames[one]
            count += 1
            paired += 1
    return hashes[:count], firsts[:count]
