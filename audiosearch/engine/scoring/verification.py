"""How well scores tell the same voice from another: error rates, thresholds, probabilities.

A score is what `score_voices` gives; a genuine one compares a voice with itself, an impostor one
with another. Terms are those of ISO/IEC 19795-1 and of NIST's speaker recognition evaluations
(https://www.nist.gov/itl/iad/mig/speaker-recognition).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]
MIN_TRIALS = 10


@dataclass(frozen=True)
class Trials:
    """Scores of comparisons whose truth is known: genuine (g,), impostor (i,)."""

    genuine: Scores
    impostor: Scores

    def __post_init__(self) -> None:
        if min(len(self.genuine), len(self.impostor)) < MIN_TRIALS:
            raise ValueError(
                f"{len(self.genuine)} comparisons of one voice and {len(self.impostor)} of two are "
                f"too few; {MIN_TRIALS} of each are needed."
            )


@dataclass(frozen=True)
class Curve:
    """Rates at rising thresholds, each (n,) in 0..1; at least the threshold is accepted.

    far: share of impostors accepted; frr: share of genuine ones refused.
    """

    thresholds: Scores
    far: Scores
    frr: Scores


def curve(trials: Trials) -> Curve:
    """At every threshold where a rate changes, and one above all scores."""
    scores = np.unique(np.concatenate([trials.genuine, trials.impostor]))
    thresholds = np.append(scores, np.nextafter(scores[-1], np.inf))
    return Curve(thresholds, *rates_at(trials, thresholds))


def rates_at(trials: Trials, thresholds: Scores) -> tuple[Scores, Scores]:
    """False accept and false reject rate at each threshold, in 0..1."""
    impostor, genuine = np.sort(trials.impostor), np.sort(trials.genuine)
    far = 1 - np.searchsorted(impostor, thresholds, side="left") / len(impostor)
    frr = np.searchsorted(genuine, thresholds, side="left") / len(genuine)
    return far, frr


def equal_error_rate(trials: Trials) -> tuple[float, float]:
    """(rate in 0..1, threshold) where false accepts are as frequent as false rejects.

    Between two thresholds both rates are taken as straight lines.
    """
    found = curve(trials)
    after = int(np.argmax(found.frr >= found.far))
    before = max(after - 1, 0)
    gap = found.far - found.frr
    step = gap[before] - gap[after]
    part = gap[before] / step if step else 0.0
    rate = found.far[before] + part * (found.far[after] - found.far[before])
    threshold = found.thresholds[before] + part * (
        found.thresholds[after] - found.thresholds[before]
    )
    return float(rate), float(threshold)


def min_dcf(trials: Trials, p_target: float) -> tuple[float, float]:
    """(cost, threshold): the least normalised detection cost when a share `p_target` is genuine.

    Both errors cost 1; 1.0 is the cost of always giving the cheaper of two fixed answers.
    """
    found = curve(trials)
    cost = p_target * found.frr + (1 - p_target) * found.far
    at = int(np.argmin(cost))
    return float(cost[at] / min(p_target, 1 - p_target)), float(found.thresholds[at])


def threshold_for(trials: Trials, far: float) -> float:
    """The lowest threshold at which at most a share `far` of the impostors is accepted."""
    found = curve(trials)
    return float(found.thresholds[int(np.argmax(found.far <= far))])


@dataclass(frozen=True)
class Decision:
    """How often yes and no were right at one threshold; all rates in 0..1."""

    threshold: float
    far: float
    frr: float
    precision: float
    recall: float
    f1: float
    accuracy: float


def decision_at(trials: Trials, threshold: float) -> Decision:
    """All trials counted once, so precision and accuracy hang on how many of each there are."""
    far, frr = (float(rate[0]) for rate in rates_at(trials, np.array([threshold])))
    hits, misses = (1 - frr) * len(trials.genuine), frr * len(trials.genuine)
    false = far * len(trials.impostor)
    return Decision(
        threshold=threshold,
        far=far,
        frr=frr,
        precision=hits / (hits + false) if hits + false else 0.0,
        recall=1 - frr,
        f1=2 * hits / (2 * hits + misses + false),
        accuracy=1 - (misses + false) / (len(trials.genuine) + len(trials.impostor)),
    )


@dataclass(frozen=True)
class Point:
    """What scores mean when the shorter of two voices speaks for at least `min_ms`.

    At the threshold, far and frr are to be expected; probability = 1 / (1 + e^-(slope * score +
    intercept)); impostor_mean and impostor_std describe the scores of two voices.
    """

    min_ms: int
    threshold: float
    far: float
    frr: float
    slope: float
    intercept: float
    impostor_mean: float
    impostor_std: float

    def probability(self, score: float) -> float:
        """That both are one voice, in 0..1, when before hearing them either was as likely."""
        return float(1 / (1 + np.exp(-(self.slope * score + self.intercept))))

    @property
    def even(self) -> float:
        """The score at which one voice is as likely as two."""
        return -self.intercept / self.slope

    def threshold_among(self, speakers: int) -> float:
        """The threshold at which the nearest of so many strangers is as rarely taken for the voice.

        Their best score exceeds it as often as one stranger's exceeds `threshold`. Beyond what was
        measured, impostor scores are taken to be normally distributed.
        """
        far = max(self.far, 1e-6) / max(speakers, 1)
        tail = self.impostor_mean + NormalDist().inv_cdf(1 - far) * self.impostor_std
        return max(self.threshold, tail)


def point_at(trials: Trials, *, min_ms: int, far: float) -> Point:
    """Threshold by a false accept target, with the rates and probabilities that go with it."""
    decision = decision_at(trials, threshold_for(trials, far))
    slope, intercept = calibrate(trials)
    return Point(
        min_ms=min_ms,
        threshold=decision.threshold,
        far=decision.far,
        frr=decision.frr,
        slope=slope,
        intercept=intercept,
        impostor_mean=float(trials.impostor.mean()),
        impostor_std=float(trials.impostor.std()),
    )


def point_for(points: Sequence[Point], speech_ms: int) -> Point:
    """The one for the longest length that is not longer than the speech; points: shortest first."""
    fitting = [point for point in points if point.min_ms <= speech_ms]
    return fitting[-1] if fitting else points[0]


def calibrate(trials: Trials) -> tuple[float, float]:
    """(slope, intercept) of the log of how much likelier one voice is, by logistic regression.

    Both kinds are weighed alike.

    Brümmer and du Preez, "Application-independent evaluation of speaker detection", 2006,
    doi:10.1016/j.csl.2005.08.001.
    """
    from sklearn.linear_model import LogisticRegression

    scores = np.concatenate([trials.genuine, trials.impostor])[:, None]
    same = np.repeat([1, 0], [len(trials.genuine), len(trials.impostor)])
    model = LogisticRegression(C=1e3, class_weight="balanced").fit(scores, same)
    return float(model.coef_[0, 0]), float(model.intercept_[0])


def all_pairs(scores: Scores, labels: Sequence[object]) -> Trials:
    """Every two of n voices compared once, of (n, n) scores. Raises ValueError for too few."""
    known: dict[object, int] = {}
    codes = np.array([known.setdefault(label, len(known)) for label in labels])
    rows, columns = np.triu_indices(len(codes), k=1)
    found = scores[rows, columns]
    same = codes[rows] == codes[columns]
    return Trials(found[same], found[~same])
