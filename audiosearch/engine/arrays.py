"""The types that all of the engine shares."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float32]
Progress = Callable[[str, int, int], None]
"""Called with (what, done, total), for example ("download", bytes_done, bytes_total)."""
