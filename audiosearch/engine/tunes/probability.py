"""How probable it is that a track has the tune that was asked for, by how far it stands out.

A logistic model, fitted by `benchmarks/tunes_calibration.py`; docs/tunes.md says how true it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from audiosearch.engine.tunes.query import TuneQuery
from audiosearch.engine.tunes.standing import Standing

MATCH, MAYBE = 0.7, 0.3
STEADY, SHORT_S, POOR_MOST = 0.6, 6.0, 0.5
"""Of a sound of which less is held notes, and less voiced, as of animals and sirens, no probability
is higher."""
MEASURES = "height", "below", "folded", "unfolded", "contour", "tracks"
"""Of a hit: its standing, how far its height is below the first's, and ln(tracks / 1000). The
margin to the second is none, as of two versions of a tune neither stands out of the other."""
FEWEST = 50
"""Tracks of the smallest catalogue that was fitted to: fewer count as many."""


@dataclass(frozen=True)
class Calibration:
    """Of the logit: a constant, and what each of MEASURES adds."""

    constant: float
    weights: tuple[float, ...]

    def probability(self, measures: NDArray[np.float64]) -> float:
        """measures: as `measures_of` gives them."""
        logit = self.constant + float(np.dot(self.weights, measures))
        return float(1 / (1 + np.exp(-np.clip(logit, -50, 50))))


FITTED = Calibration(-11.991, (3.56, -3.217, 0.663, -0.092, 0.512, -1.039))


def highest(query: TuneQuery) -> float:
    """The most that can be told of a query: of one that is short and hardly holds a note, not
    enough for a match."""
    is_poor = query.steadiness < STEADY and query.voiced_seconds < SHORT_S
    return POOR_MOST if is_poor else 1.0


def probabilities(standings: Sequence[Standing], most: float = 1.0) -> list[float]:
    """That each track has the tune, no other one's higher than the first's.

    standings: of the hits of one answer, the best first; most: `highest` of the query. Two tracks
    may both have it, so the sum can exceed 1.
    """
    found = [most]
    for standing in standings:
        probability = FITTED.probability(measures_of(standing, standings[0]))
        found.append(min([probability, *found[:2]]))
    return found[1:]


def verdict_of(probability: float) -> Literal["match", "maybe", "none"]:
    """What is said of a query by its first hit's probability."""
    if probability >= MATCH:
        return "match"
    return "maybe" if probability >= MAYBE else "none"


def measures_of(standing: Standing, first: Standing) -> NDArray[np.float64]:
    """(MEASURES,) of a hit, beside the first of its answer."""
    return np.array(
        [
            standing.height,
            first.height - standing.height,
            standing.folded,
            standing.unfolded,
            standing.contour,
            np.log(max(standing.tracks, FEWEST) / 1000),
        ]
    )
