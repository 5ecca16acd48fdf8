"""How probable a match is, by its score, by those of the tracks behind it, and by chance's.

The constants are fitted by `benchmarks/recognition.py --fit`; docs/recognition.md says how.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

AHEAD, COHORT = 3, 18
"""The best tracks are no measure of chance, as they may be copies; the next ones are."""
SPREAD_FLOOR = 0.3
COPY = 12.0
"""Spreads above the strangers from which on a track behind is itself a match, a copy perhaps."""
MATCH, MAYBE, JUST_MAYBE = 0.9, 0.5, 0.89


@dataclass(frozen=True)
class Calibration:
    """Of the logit: a constant, and what the standing, the score and ln(seconds / 5) add.

    Of the score only what lies beyond that of strangers counts. It tells what is clearly there
    where chance spreads widely, as it does with clean, sparse sounds. Queries shorter than
    `match_from_s` are never a match.
    """

    constant: float
    standing: float
    score: float
    length: float
    beyond: float = 0.0
    match_from_s: float = 0.0

    def probability(self, standing: float, score: float, seconds: float) -> float:
        """That a place with this standing and score is where the query was taken from."""
        logit = (
            self.constant
            + self.standing * standing
            + self.score * max(0.0, score - self.beyond)
            + self.length * np.log(seconds / 5)
        )
        found = float(1 / (1 + np.exp(-np.clip(logit, -50, 50))))
        return found if seconds >= self.match_from_s else min(found, JUST_MAYBE)


FIRST_PASS = Calibration(-9.513, 0.839, 0.468, -1.393, beyond=13)
"""As fitted, but for the constant, which was -6.013: at -8.513 no stranger is a match any more, and
1 is the margin."""
SCAN = Calibration(-9.4, 0.5, 0.384, 0.5, beyond=14)
"""Of a play in a long recording: an hour is asked 720 times, so strangers come nearer; but of those
of 3 s and more none scored 14, and no excerpt of 5 s less than 27, in talk and noise. All peaks and
bins count alike in these scores."""
LADDER = Calibration(-11.0, 0.959, 1.189, -2.678, beyond=19, match_from_s=8)
"""As fitted, but for the constant, which was -6.44: a song with an instrument's same notes came as
near as -10.8, played faster. In fewer seconds such strangers reach more yet on some rung."""


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
