"""The ladder of speeds: what an excerpt may have been played at, tried one after the other."""

from audiosearch.engine.matchers.recording.query import Rung


def _either_way(step: float, count: int) -> list[float]:
    return [1 + sign * step * number for number in range(1, count + 1) for sign in (1, -1)]


RUNGS = (
    *(Rung(pitch=rate, speed=rate) for rate in _either_way(0.01, 7)),
    *(Rung(speed=rate) for rate in _either_way(0.015, 4)),
    *(Rung(pitch=rate) for rate in _either_way(0.01, 7)),
)
"""A turntable's up to 7 %, stretched by up to 6 % at its pitch, and shifted by up to 7 %."""
