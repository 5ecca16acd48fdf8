"""The picture of a play log: lanes of bars on a clock, as percentages for an SVG."""

from dataclasses import dataclass

from apps.monitoring.play_logs import ShownLog, ShownPlay
from audiosearch.engine.matchers.recording.play_log import Stretch

WIDTH = 100
NARROWEST = 0.4
"""A play of 5 s in a day would be thinner than a hair."""
STEPS_S = (10, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400)
MOST_TICKS = 6
LAST_TICK = 0.85
"""Beyond this share of the width its label has no room on a phone."""


AXIS, LANE, BETWEEN = 18, 22, 4
"""Heights, in pixels."""


@dataclass(frozen=True)
class Bar:
    """A play: where it begins and how wide it is, of WIDTH."""

    x: float
    width: float
    play: ShownPlay


@dataclass(frozen=True)
class Lane:
    """Bars that do not overlap, `y` pixels from the top."""

    y: int
    bars: list[Bar]


@dataclass(frozen=True)
class Tick:
    x: float
    ms: int


@dataclass(frozen=True)
class Timeline:
    """Plays that go on at once are in lanes of their own; rows: plays and gaps by their start."""

    lanes: list[Lane]
    ticks: list[Tick]
    rows: list[ShownPlay | Stretch]
    unknown_ms: int

    @property
    def height(self) -> int:
        return AXIS + (LANE + BETWEEN) * len(self.lanes)


def timeline_of(log: ShownLog) -> Timeline:
    """The bars of a play log, in as few lanes as they need."""
    length = max(log.duration_ms, 1)
    lanes: list[Lane] = []
    for play in log.plays:
        width = max(NARROWEST, round(WIDTH * (play.end_ms - play.start_ms) / length, 2))
        x = min(WIDTH - width, round(WIDTH * play.start_ms / length, 2))
        lane = next((one for one in lanes if one.bars[-1].play.end_ms <= play.start_ms), None)
        if lane is None:
            lane = Lane(AXIS + (LANE + BETWEEN) * len(lanes), [])
            lanes.append(lane)
        lane.bars.append(Bar(x, width, play))
    rows: list[ShownPlay | Stretch] = [*log.plays, *log.gaps]
    rows.sort(key=lambda row: row.start_ms)
    unknown_ms = sum(gap.end_ms - gap.start_ms for gap in log.gaps)
    return Timeline(lanes, _ticks(length), rows, unknown_ms)


def _ticks(length_ms: int) -> list[Tick]:
    fitting = (step for step in STEPS_S if length_ms <= MOST_TICKS * step * 1000)
    step_ms = 1000 * next(fitting, STEPS_S[-1])
    last_ms = int(length_ms * LAST_TICK)
    return [Tick(round(WIDTH * ms / length_ms, 2), ms) for ms in range(0, last_ms, step_ms)]
