"""How probable a match is, by its score, by those of the tracks behind it, and by chance's.

The constants are fitted by `benchmarks/recognition.py --fit`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

AHEAD, COHORT = 3, 18
"""The best tracks are no measure of chance, as they may be copies; the next ones are."""
SPREAD_FLOOR = 0.3
COPY = 12.0
"""Spreads above the strangers from which on a track behind is itself a match, a copy perhaps."""
MATCH, MAYBE = 0.9, 0.5


@dataclass(frozen=True)
class Calibration:
    """Of the logit: a constant, and what the standing, the score and ln(seconds / 5) add."""

    constant: float
    standing: float
    score: float
    length: float

    def probability(self, standing: float, score: float, seconds: float) -> float:
        """That a place with this standing and score is where the query was taken from."""
        logit = (
            self.constant
            + self.standing * standing
            + self.score * score
            + self.length * np.log(seconds / 5)
        )
        return float(1 / (1 + np.exp(-np.clip(logit, -50, 50))))


FIRST_PASS = Calibration(-8.5, 0.924, 0.11, -2.22)
"""As fitted, but for the constant, which was -7.1: strangers are four times as likely as they were
among the queries of the fit."""
LADDER = Calibration(-7.28, 0.67, 0.235, -0.84)
"""Not fitted on the ladder: an earlier first pass's. Strangers have a chance on every rung."""


@dataclass(frozen=True)
class Chance:
    """What tracks score that are not the one sought: the mean, and the spread above zero."""

    mean: float
    spread: float

    def standing(self, score: float) -> float:
        """How many spreads a score lies above chance."""
        return (score - self.mean) / self.spread


def chance_of(tracks: Sequence[float], strangers: Sequence[float]) -> Chance:
    """Estimated from the best scores of tracks and of made strangers, the highest first.

    Strangers stand in where there are few tracks. Tracks that stand out of the strangers as only
    a copy of the recording does are left out.
    """
    null = _chance(strangers[:COHORT])
    behind = [score for score in tracks[AHEAD:] if null.standing(score) < COPY]
    return _chance(sorted([*behind, *strangers], reverse=True)[:COHORT])


def _chance(scores: Sequence[float]) -> Chance:
    if not len(scores):
        return Chance(0.0, 1.0)
    return Chance(float(np.mean(scores)), float(np.std(scores)) + SPREAD_FLOOR)
