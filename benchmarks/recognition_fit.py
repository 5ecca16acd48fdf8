"""What `benchmarks.recognition` makes of its outcomes: the table, and constants fitted to them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from audiosearch.engine.matchers.recording.probability import MATCH, Calibration

FALSE_ACCEPTS = 0.01


@dataclass(frozen=True)
class Outcome:
    """What came of one excerpt; `item_id` is 0 for a stranger."""

    kind: str
    item_id: int
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


def fit(outcomes: list[Outcome]) -> None:
    """Fit on the songs and strangers of even number, and test on the others."""
    numbers = _halves(outcomes)
    train = [one for one, half in zip(outcomes, numbers, strict=True) if half == 0]
    test = [one for one, half in zip(outcomes, numbers, strict=True) if half == 1]
    fitted = _fitted(train)
    print(f"\nfitted: {fitted}")
    for name, some in (("fitted on", train), ("tested on", test)):
        found = np.array([_probability(fitted, one) for one in some])
        right = np.array([one.right for one in some])
        strange = np.array([not one.item_id for one in some])
        print(f"\n{name} {len(some)}, {strange.sum()} of them strangers")
        for low, high in ((0, 0.1), (0.1, 0.5), (0.5, 0.9), (0.9, 0.99), (0.99, 1.01)):
            some_p = (found >= low) & (found < high)
            if some_p.any():
                print(
                    f"P {low} to {high}: {some_p.sum()}, said {found[some_p].mean():.3f}, "
                    f"right {right[some_p].mean():.3f}, strangers {(some_p & strange).sum()}"
                )
        for limit in (0.5, MATCH):
            false = (found[strange] >= limit).mean()
            true = (right & (found >= limit))[~strange].mean()
            print(f"P >= {limit}: strangers {false:.4f}, accepted {true:.3f}")


def _halves(outcomes: list[Outcome]) -> list[int]:
    """0 or 1; excerpts of one song are in one half, strangers alternate."""
    strangers = 0
    halves = []
    for one in outcomes:
        strangers += not one.item_id
        halves.append((one.item_id or strangers) % 2)
    return halves


def _fitted(some: list[Outcome]) -> Calibration:
    """By logistic regression in which those that are there weigh as much as the strangers."""
    columns = [(1, one.standing, one.score, np.log(one.seconds / 5)) for one in some]
    inputs, right = np.array(columns), np.array([one.right for one in some], float)
    there = np.array([bool(one.item_id) for one in some])
    weights = np.where(there, 1 / there.sum(), 1 / (~there).sum()) * len(some) / 2

    def loss(parameters: NDArray[np.float64]) -> float:
        logits = inputs @ parameters
        losses = weights * (np.logaddexp(0, logits) - right * logits)
        return float(losses.mean() + 1e-4 * np.square(parameters).sum())

    return Calibration(*(round(float(value), 3) for value in minimize(loss, np.zeros(4)).x))


def _probability(calibration: Calibration, one: Outcome) -> float:
    return calibration.probability(one.standing, one.score, one.seconds)
