"""What `benchmarks.recognition` makes of its outcomes: the table, and constants fitted to them."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from audiosearch.engine.matchers.recording.probability import MATCH, MAYBE, Calibration

FALSE_ACCEPTS = 0.01
RARE, MARGIN = 0.005, 2.0
"""Beyond what so few strangers score, and a margin, as more tracks make some score higher."""


@dataclass(frozen=True)
class Outcome:
    """What came of one excerpt; `item_id` is 0 for a stranger, `whose` what it was cut from."""

    kind: str
    item_id: int
    whose: str
    condition: str
    seconds: int
    right: bool
    in_time: bool
    score: float
    standing: float
    probability: float
    cpu_ms: float

    @property
    def accepted(self) -> bool:
        return self.probability >= MATCH


def summary(outcomes: list[Outcome]) -> list[dict[str, Any]]:
    """A row for each condition: top-1 / accepted at 1 % false accepts / at P ≥ 0.9 / offset."""
    strange = np.array([one.probability for one in outcomes if not one.item_id])
    limit = float(np.quantile(strange, 1 - FALSE_ACCEPTS)) if len(strange) else MATCH
    rows = []
    for condition in dict.fromkeys(one.condition for one in outcomes):
        row: dict[str, Any] = {"condition": condition}
        own = [one for one in outcomes if one.condition == condition]
        for seconds in dict.fromkeys(one.seconds for one in own):
            for kind in ("real", "rendered"):
                some = [one for one in own if one.seconds == seconds and one.kind == kind]
                row[f"{seconds} s {kind}"] = _cell(some, limit)
            strangers = [one for one in own if one.seconds == seconds and not one.item_id]
            wrong = sum(one.accepted for one in strangers)
            row[f"{seconds} s strangers"] = f"{wrong} of {len(strangers)}"
            row[f"{seconds} s CPU ms"] = float(
                np.median([one.cpu_ms for one in own if one.seconds == seconds])
            )
        rows.append(row)
    return rows


def _cell(some: list[Outcome], limit: float) -> str:
    if not some:
        return ""
    figures = (
        np.mean([one.right for one in some]),
        np.mean([one.right and one.probability > limit for one in some]),
        np.mean([one.right and one.accepted for one in some]),
        np.mean([one.in_time for one in some]),
    )
    return "/".join(f"{figure:.2f}" for figure in figures)


def told(outcomes: list[Outcome]) -> str:
    """How many strangers, of how many recordings, are accepted, and how probable the first are."""
    strange = [one for one in outcomes if not one.item_id]
    accepted = sum(one.accepted for one in strange)
    first = sorted((one.probability for one in strange), reverse=True)[:5]
    recordings = len({one.whose for one in strange})
    highest = ", ".join(f"{probability:.3f}" for probability in first)
    return f"{accepted} of {len(strange)} accepted, of {recordings} recordings; highest {highest}"


def fit(outcomes: list[Outcome]) -> None:
    """Print what fits these, and how much is accepted with the constant lowered step by step."""
    fitted = _fitted(outcomes)
    print(f"\nfitted: {fitted}")
    right = np.array([one.right for one in outcomes])
    strange = np.array([not one.item_id for one in outcomes])
    for lower in np.arange(0, 8, 0.5):
        calibration = replace(fitted, constant=round(fitted.constant - lower, 3))
        found = np.array([_probability(calibration, one) for one in outcomes])
        sure, maybe = found >= MATCH, found >= MAYBE
        print(
            f"{calibration.constant}: P >= {MATCH}: accepted {sure[~strange & right].sum()}"
            f" of {(~strange).sum()}, wrong songs {sure[~strange & ~right].sum()}, strangers"
            f" {sure[strange].sum()} of {strange.sum()}; P >= {MAYBE}: {maybe[strange].sum()}"
        )


def _fitted(some: list[Outcome]) -> Calibration:
    """By logistic regression in which those that are there weigh as much as the strangers."""
    there = np.array([bool(one.item_id) for one in some])
    strangers = [one.score for one in some if not one.item_id]
    beyond = float(np.ceil(np.quantile(strangers, 1 - RARE))) + MARGIN
    columns = [
        (1, one.standing, max(0.0, one.score - beyond), np.log(one.seconds / 5)) for one in some
    ]
    inputs, right = np.array(columns), np.array([one.right for one in some], float)
    weights = np.where(there, 1 / there.sum(), 1 / (~there).sum()) * len(some) / 2

    def loss(parameters: NDArray[np.float64]) -> float:
        logits = inputs @ parameters
        losses = weights * (np.logaddexp(0, logits) - right * logits)
        return float(losses.mean() + 1e-4 * np.square(parameters).sum())

    constant, standing, score, length = np.round(minimize(loss, np.zeros(4)).x, 3).tolist()
    return Calibration(constant, standing, score, length, beyond=beyond)


def _probability(calibration: Calibration, one: Outcome) -> float:
    return calibration.probability(one.standing, one.score, one.seconds)
