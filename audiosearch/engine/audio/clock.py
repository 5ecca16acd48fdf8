"""When a sound is played: time stamps turned into the seconds that a player's clock shows."""

from typing import Any

TIMED = frozenset(("mov", "matroska", "ogg", "mpegts", "mpeg", "asf", "flv", "nut"))
"""Containers that say when each packet is played; the others only have one after the other."""
FROM_ZERO = frozenset(("mov", "matroska"))
"""Those whose clock begins at zero, whenever the first sound comes."""
TOLERANCE_S = 0.04
OVERLAP_S = 1.0
LONGEST_GAP_S = 3600.0
MOST_SILENCE_S = 4 * 3600.0


class Clock:
    """Where the next sound of a stream is to be played; `at` is where the last one ended, in s.

    A jump by more than an hour, or back by more than a second, is no pause: the clock was set
    anew, and what follows is played at once.
    """

    def __init__(self, container: Any, stream: Any) -> None:
        demuxer = container.format.name.split(",")[0]
        self.at = 0.0
        self._timed = demuxer in TIMED
        own = float(stream.start_time * stream.time_base) if stream.start_time else 0.0
        first = container.start_time / 1e6 if container.start_time is not None else own
        self._origin = min(own, first) if self._timed else own
        if demuxer in FROM_ZERO and 0 < self._origin <= LONGEST_GAP_S:
            self._origin = 0.0
        self._silence_left = MOST_SILENCE_S

    def gap_before(self, time_s: float | None) -> float:
        """Seconds of silence before what has this time stamp; negative: so much of it is over."""
        if time_s is None or not self._timed:
            return 0.0
        gap = time_s - self._origin - self.at
        if abs(gap) <= TOLERANCE_S:
            return 0.0
        if not -OVERLAP_S <= gap <= min(LONGEST_GAP_S, self._silence_left):
            self._origin += gap
            return 0.0
        self._silence_left -= max(gap, 0.0)
        return gap

    def set_by(self, time_s: float | None, *, passed: bool) -> None:
        """Go on where a time stamp says, after a place was sought or packets were `passed` over."""
        if passed and self._timed:
            return  # they were counted with their gaps
        if time_s is not None:
            self.at = max(0.0, time_s - self._origin)
