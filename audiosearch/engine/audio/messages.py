"""What `sandbox` and the decoder process say to each other.

A request is JSON with one descriptor, the file. The answer is a row of messages, each its kind and
its length before it: `d` data, `p` progress, then `e` an error or `z` the end. The first message
of all, `r`, says that the libraries are loaded, and names the protections that hold from then on.
Samples come as one message for each rate asked for, in the order of the request, and again for the
next block. Pieces of a file that is written have their place in it before them.
"""

import struct
from dataclasses import dataclass

HEADER = struct.Struct("<cI")
PLACE = struct.Struct("<Q")
LARGEST = 2**26
"""Bytes of one message."""


@dataclass(frozen=True)
class Budget:
    """What decoding one file may cost, in seconds of processor time, beside a time on the clock.

    first_s: to begin with; per_minute_s: for each minute of sound that has come. So a file costs
    what its sound is worth, and what holds no sound ends soon.
    """

    first_s: float = 30
    per_minute_s: float = 10

    def for_sound(self, sound_s: float) -> float:
        """Seconds of processor time for so much sound."""
        return self.first_s + self.per_minute_s * sound_s / 60


DEFAULT_BUDGET = Budget()
