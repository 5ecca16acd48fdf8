"""How probable it is that a track has the tune that was asked for, by how far it stands out.

A logistic model, fitted by `benchmarks/tunes_calibration.py`; docs/tunes.md says how true it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from audiosearch.engine.arrays import FloatArray
from audiosearch.engine.tunes.standing import Standing

MATCH, MAYBE = 0.7, 0.3
MEASURES = "height", "below", "agreement", "tracks", "length"


@dataclass(frozen=True)
class Calibration:
    """Of the logit: a constant, and what each of MEASURES adds."""

    constant: float
    weights: tuple[float, ...]

    def probability(self, measures: FloatArray) -> float:
        """measures: as `measures_of` gives them."""
        logit = self.constant + float(np.dot(self.weights, measures))
        return float(1 / (1 + np.exp(-np.clip(logit, -50, 50))))


FITTED = Calibration(0.0, (0.0, 0.0, 0.0, 0.0, 0.0))


def probabilities(standings: Sequence[Standing], seconds: float) -> list[float]:
    """That each track has the tune, no other one's higher than the first's.

    standings: of the hits of one answer, the best first; seconds: how much of the query is voiced.
    Two tracks may both have it, so the sum can exceed 1.
    """
    found: list[float] = []
    for standing in standings:
        measures = measures_of(standing, standings[0], seconds)
        found.append(min([FITTED.probability(measures), *found[:1]]))
    return found


def verdict_of(probability: float) -> Literal["match", "maybe", "none"]:
    """What is said of a query by its first hit's probability."""
    if probability >= MATCH:
        return "match"
    return "maybe" if probability >= MAYBE else "none"


def measures_of(standing: Standing, first: Standing, seconds: float) -> FloatArray:
    """(MEASURES,) float64 of a hit, beside the first of its answer."""
    ways = standing.folded, standing.unfolded, standing.contour
    return np.array(
        [
            standing.height,
            first.height - standing.height,
            min(ways),
            np.log(max(standing.tracks, 1) / 1000),
            np.log(max(seconds, 1) / 10),
        ]
    )
