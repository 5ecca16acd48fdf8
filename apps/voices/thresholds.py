"""What a score means: the operating point in force, for as much speech as there is."""

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from apps.voices.models import OperatingPoint
from audiosearch.engine.arrays import FloatArray
from audiosearch.engine.errors import ModelUnavailable
from audiosearch.engine.scoring.normalization import Scores, score_voices
from audiosearch.engine.scoring.verification import Point, point_for
from audiosearch.engine.voice.diarization import WINDOW_S, Likeness

MEASURED = Path(__file__).parent / "measured"
"""Operating points measured for this release; each file says on what."""

MARGIN = 0.25
"""Two enrolled speakers nearer to each other than this share of what strangers' scores spread leave
it open who speaks."""

STRANGERS = 100


@dataclass(frozen=True)
class InForce:
    """Points by length, shortest first, and the data they come from.

    cohort: (k, d) strangers that scores are told by, None when scores are cosine similarities.
    """

    points: list[Point]
    source: str
    far_target: float
    likeness: Likeness
    cohort: FloatArray | None

    def at(self, net_ms: int) -> Point:
        return point_for(self.points, net_ms)

    def scores(self, voice: FloatArray, others: FloatArray) -> Scores:
        """(n,) of a voice (d,) and others (n, d), as the points take them."""
        return score_voices(voice[None], others, self.cohort)[0]


def likeness_by(points: list[Point]) -> Likeness:
    """What makes one voice of two stretches of a recording; points: of cosine similarities.

    Windows are joined while one voice is likelier than two, whole voices when the nearest of a
    hundred strangers would hardly be as near. See docs/voices.md for how well that does.
    """
    lengths = [point.min_ms for point in points]
    even = np.interp(WINDOW_S * 1000, lengths, [point.even for point in points])
    return Likeness(float(even), points[-1].threshold_among(STRANGERS))


def point_in_force(space: str) -> InForce:
    """The administrator's, else the one measured for this release. Raises ModelUnavailable."""
    row = OperatingPoint.objects.filter(space=space, in_force=True).first()
    if not row:
        return point_measured(space)
    points = [Point(**point) for point in row.points]
    likeness = Likeness(**row.likeness) if row.likeness else likeness_by(points)
    cohort = unpack_cohort(bytes(row.cohort), row.dimension) if row.cohort else None
    return InForce(points, row.source, row.far_target, likeness, cohort)


@lru_cache(maxsize=8)
def point_measured(space: str) -> InForce:
    """The one measured for this release.

    Raises ModelUnavailable when there is none: no threshold is ever guessed.
    """
    path = MEASURED / f"{space}.json"
    if not path.exists():
        raise ModelUnavailable(
            f"Nothing says yet which scores of {space} mean the same voice; measure it: "
            "./manage evaluate_voices LABELS.csv --apply"
        )
    data = json.loads(path.read_text())
    return InForce(
        points=[Point(**point) for point in data["points"]],
        source=data["source"],
        far_target=data["far_target"],
        likeness=Likeness(**data["likeness"]),
        cohort=np.load(path.with_suffix(".npy")).astype(np.float32),
    )


def pack_cohort(cohort: FloatArray) -> bytes:
    """Half precision is enough, and half the size."""
    return cohort.astype("<f2").tobytes()


def unpack_cohort(packed: bytes, dimension: int) -> FloatArray:
    """(k, d) as `pack_cohort` took it, nearly."""
    return np.frombuffer(packed, "<f2").reshape(-1, dimension).astype(np.float32)
