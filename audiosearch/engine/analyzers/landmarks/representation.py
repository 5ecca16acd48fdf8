"""What is kept of a recording to recognise it by."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audiosearch.engine.analyzers.base import Representation


@dataclass(frozen=True)
class Landmarks(Representation):
    """The spectral peaks of a recording, ascending by frame and bin; about 0.5 MB an hour.

    frames: (n,) int32, each a hop of 256 samples at 11,025 Hz; bins: (n,) uint16, of 10.8 Hz;
    ranks: (n,) uint8, by prominence within the second, below 25; length: (1,) int32, of the
    recording in frames.
    """

    kept = ("frames", "bins", "ranks", "length")

    frames: NDArray[np.int32]
    bins: NDArray[np.uint16]
    ranks: NDArray[np.uint8]
    length: NDArray[np.int32]
