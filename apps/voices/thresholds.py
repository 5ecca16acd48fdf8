"""What a score means: the operating point in force, for as much speech as there is."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from apps.voices.models import OperatingPoint
from audiosearch.engine.diarization import WINDOW_S, Likeness
from audiosearch.engine.errors import ModelUnavailable
from audiosearch.engine.verification import Point, point_for

MEASURED = Path(__file__).parent / "measured"
"""Operating points measured for this release; each file says on what."""

STRANGERS = 100
MARGIN = 0.02
"""Two enrolled speakers nearer to each other than this leave it open who speaks."""


@dataclass(frozen=True)
class InForce:
    """Points by length, shortest first, and the data they come from."""

    points: list[Point]
    source: str
    far_target: float

    def at(self, net_ms: int) -> Point:
        return point_for(self.points, net_ms)

    @property
    def likeness(self) -> Likeness:
        """What makes one voice of two stretches of a recording.

        Windows are joined while one voice is likelier than two, whole voices when the nearest of a
        hundred strangers would hardly be as near. See docs/voices.md for how well that does.
        """
        lengths = [point.min_ms for point in self.points]
        even = np.interp(WINDOW_S * 1000, lengths, [point.even for point in self.points])
        return Likeness(float(even), self.points[-1].threshold_among(STRANGERS))


def point_in_force(space: str) -> InForce:
    """The administrator's, else the one measured for this release. Raises ModelUnavailable."""
    row = OperatingPoint.objects.filter(space=space, in_force=True).first()
    if row:
        return InForce([Point(**point) for point in row.points], row.source, row.far_target)
    return point_measured(space)


def point_measured(space: str) -> InForce:
    """The one measured for this release.

    Raises ModelUnavailable when there is none: no threshold is ever guessed.
    """
    path = MEASURED / f"{space}.json"
    if not path.exists():
        raise ModelUnavailable(
            f"Nothing says yet which scores of {space} mean the same voice; measure it: "
            "manage.py evaluate speakers LABELS.csv --apply"
        )
    data = json.loads(path.read_text())
    return InForce([Point(**point) for point in data["points"]], data["source"], data["far_target"])
