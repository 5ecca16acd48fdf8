"""Landmark hashes: a peak, and how much later and higher another one is, in 22 bits.

Nine bits for the bin of the first, seven for the interval in bins, six for that in frames.
"""

import numpy as np
from numpy.typing import NDArray

from audiosearch.engine.analyzers.landmarks.representation import Landmarks

HASHES = 1 << 22
"""Hashes are below this."""
HASHED_PER_SECOND = 18
FAN = 3
NEAREST_FRAMES, FARTHEST_FRAMES, WIDEST_BINS = 2, 64, 63
NEIGHBOURS = (1, -1, 1 << 6, -(1 << 6), (1 << 13) - (1 << 6), -(1 << 13) + (1 << 6))
"""From a hash to those of the pair with its interval one frame longer or shorter, its second peak
one bin higher or lower, and its first peak one bin higher or lower while the second stays."""


def hash_pairs(
    frames: NDArray[np.int32], bins: NDArray[np.integer], fan: int
) -> tuple[NDArray[np.uint32], NDArray[np.int32]]:
    """Hashes of pairs of peaks, (n,) uint32, and the frames at which they begin, (n,) int32.

    frames, bins: of the peaks, ascending; each is paired with the next `fan` in reach.
    """
    from audiosearch.engine.analyzers.landmarks.kernels import pair_peaks

    limits = (NEAREST_FRAMES, FARTHEST_FRAMES, WIDEST_BINS)
    return pair_peaks(frames.astype(np.int32), bins.astype(np.int32), fan, limits)


def hashes_of(landmarks: Landmarks) -> tuple[NDArray[np.uint32], NDArray[np.int32]]:
    """The hashes of a recording and the frames at which they begin: what an index is made of."""
    chosen = landmarks.ranks < HASHED_PER_SECOND
    return hash_pairs(landmarks.frames[chosen], landmarks.bins[chosen], FAN)
