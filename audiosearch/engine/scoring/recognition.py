"""How well excerpts are recognised, and how true the probabilities are that are told."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from audiosearch.engine.matchers.recording.probability import MATCH

TOLERANCE_MS = 250
EDGES = 0.0, 0.1, 0.5, 0.9, 0.99, 1.0


@dataclass(frozen=True)
class Recognised:
    """What came of one excerpt: the likeliest track's probability, 0 without one.

    there: whether its recording is in what was searched. right: whether that is the likeliest one.
    ahead_ms: how much later than the true moment the one told of is, where right.
    """

    condition: str
    seconds: int
    there: bool
    right: bool
    probability: float
    ahead_ms: int = 0


@dataclass(frozen=True)
class RecognitionRow:
    """Shares of the excerpts of one condition and length; top_1: the likeliest track is right;
    accepted: and a match; in_time: right, and within TOLERANCE_MS; off_ms: median of those right.

    strangers: excerpts whose recording was left out; strangers_accepted: those that are a match.
    """

    condition: str
    seconds: int
    excerpts: int
    top_1: float
    accepted: float
    in_time: float
    off_ms: float
    strangers: int
    strangers_accepted: int


@dataclass(frozen=True)
class ReliabilityRow:
    """Of probabilities from `low` to `high`, their mean, and how often the track was right."""

    low: float
    high: float
    answers: int
    told: float
    right: float


def recognition_rows(found: Sequence[Recognised]) -> list[RecognitionRow]:
    """A row for each condition and length, in the order in which they come up."""
    rows = []
    for condition, seconds in dict.fromkeys((one.condition, one.seconds) for one in found):
        own = [one for one in found if (one.condition, one.seconds) == (condition, seconds)]
        there = [one for one in own if one.there]
        off = [abs(one.ahead_ms) for one in there if one.right]
        strange = [one.probability for one in own if not one.there]
        rows.append(
            RecognitionRow(
                condition,
                seconds,
                len(there),
                _share([one.right for one in there]),
                _share([one.right and one.probability >= MATCH for one in there]),
                _share([one.right and abs(one.ahead_ms) <= TOLERANCE_MS for one in there]),
                float(np.median(off)) if off else 0.0,
                len(strange),
                sum(probability >= MATCH for probability in strange),
            )
        )
    return rows


def reliability_rows(found: Sequence[Recognised]) -> list[ReliabilityRow]:
    """Where probabilities are calibrated, what is told and what is right agree in each row.

    That is so for as many strangers as there are here; see A. Niculescu-Mizil and R. Caruana,
    Predicting Good Probabilities with Supervised Learning, ICML 2005.
    """
    rows = []
    for low, high in pairwise(EDGES):
        within = (one for one in found if low <= one.probability)
        own = [one for one in within if one.probability < high or high == EDGES[-1]]
        told = _share([one.probability for one in own])
        rows.append(ReliabilityRow(low, high, len(own), told, _share([one.right for one in own])))
    return rows


def reliability_lines(found: Sequence[Recognised]) -> list[str]:
    """`reliability_rows` as a table for the terminal, its head first."""
    lines = [f"{'probability':14}{'answers':>9}{'told':>7}{'right':>7}"]
    for each in reliability_rows(found):
        span = f"{each.low:g} to {each.high:g}"
        lines.append(f"{span:14}{each.answers:9}{each.told:7.3f}{each.right:7.3f}")
    return lines


def _share(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else 0.0
