"""Verification: does the query stand out where the recording has its peaks?

The statistic is that of ranks: at each bin the query's contrast is brought to a uniform scale over
time, so that by chance it is as often above the middle as below, and the sum over n peaks of a
recording has a variance of n / 12. Peaks that were higher in the recording count more, as noise
hides them later, and bins of the query in which there is next to nothing count less, as a telephone
lets nothing of the recording through there; the variance is that of the weighted sum.
"""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from audiosearch.engine.analyzers.landmarks.spectrum import LOW_BIN, highest_around
from audiosearch.engine.arrays import FloatArray
from audiosearch.engine.indexes.landmarks_base import Candidates
from audiosearch.engine.matchers.recording.query import AS_IT_IS, RecordingQuery, Rung

VOTE_WEIGHT, MOST_VOTES = 0.25, 40
SHIFTS, LADDER_SHIFTS = 3, 4
RANK_WEIGHTS = np.linspace(1.5, 0.5, 25, dtype=np.float32)
"""Of a second's highest peak to its lowest that is kept."""
DECIBELS = np.log(10) / 20
LOUD_BIN, FAINTEST_BIN, LEAST_WEIGHT = -25 * DECIBELS, -45 * DECIBELS, 0.25
"""Median levels of bins below the loudest, from which on they count less, and which count least."""
STEADY = 0.05
"""Added to deviations, so that what does not change gives no evidence; noise has about 0.5."""
STANDS_OUT = 0.3
"""Evidence of a landmark that counts as aligned: the fifth of the time that is the loudest."""
LEAST_DRIFT, DRIFT_SHARE = 0.1, 0.6
"""Evidence of a peak that a stretch must have on average to belong to a match; of the mean."""
SCALE = np.array([NormalDist().cdf(x) - 0.5 for x in np.linspace(-4, 4, 2049)], np.float32)


@dataclass(frozen=True)
class Evidence:
    """points: (frames, BINS) float32, -0.5 to 0.5, uniform by chance; weights: (BINS,) float32,
    what each bin counts, 1 at most."""

    points: FloatArray
    weights: FloatArray


@dataclass(frozen=True)
class Stretch:
    """Frames of the query that agree with a track, and how many of its landmarks in there do."""

    begin: int
    end: int
    aligned: int
    of: int


def evidence_of(query: RecordingQuery) -> Evidence:
    """How far each point of a query stands out of its bin's time."""
    points = uniform(highest_around(query.contrasts, 1, 1))
    levels = np.median(query.spectrum, axis=0)
    heard = (levels - levels.max() - FAINTEST_BIN) / (LOUD_BIN - FAINTEST_BIN)
    return Evidence(points, np.clip(heard, LEAST_WEIGHT, 1).astype(np.float32))


def uniform(contrasts: FloatArray) -> FloatArray:
    """Contrasts, (frames, bins), brought to -0.5 to 0.5 at each bin; they are overwritten."""
    contrasts -= contrasts.mean(axis=0)
    contrasts *= 1 / (contrasts.std(axis=0) + STEADY)
    steps = np.clip((contrasts + 4) * 256, 0, 2048).astype(np.int16)
    return np.asarray(SCALE[steps.T], np.float32).T  # what is read together lies together


def verify(
    evidence: Evidence, candidates: Candidates, rung: Rung = AS_IT_IS
) -> tuple[FloatArray, NDArray[np.int64]]:
    """Each candidate's score, and its offset put right by some frames."""
    from audiosearch.engine.matchers.recording.kernels import verify_places

    most = SHIFTS if rung == AS_IT_IS else LADDER_SHIFTS
    peaks = (candidates.peak_starts, candidates.peak_frames, candidates.peak_bins)
    deviations, shifts = verify_places(
        evidence.points.T,
        LOW_BIN,
        *peaks,
        RANK_WEIGHTS[candidates.peak_ranks],
        evidence.weights,
        (float(rung.pitch), float(rung.speed), most),
    )
    scores = deviations + VOTE_WEIGHT * np.minimum(candidates.votes, MOST_VOTES)
    return scores.astype(np.float32), candidates.offsets.astype(np.int64) + shifts


def stretch_of(evidence: FloatArray, frames: NDArray[np.int64], bins: NDArray[np.int64]) -> Stretch:
    """The stretch of the query that agrees best with a track's peaks there.

    frames, bins: of the track's peaks, ascending, as the query would have them.
    """
    inside = (frames >= 0) & (frames < len(evidence)) & (bins >= 0) & (bins < evidence.shape[1])
    frames, bins = frames[inside], bins[inside]
    found = evidence[frames, bins]
    drift = max(LEAST_DRIFT, DRIFT_SHARE * float(found.mean())) if len(found) else LEAST_DRIFT
    sums = np.concatenate([[0.0], np.cumsum(found - drift)])
    lowest = np.minimum.accumulate(sums)
    last = int(np.argmax(sums - lowest))
    first = int(np.flatnonzero(sums[: last + 1] == lowest[last])[-1])
    if first == last:
        return Stretch(0, len(evidence), 0, len(frames))
    own = found[first:last]
    begin, end = int(frames[first]), int(frames[last - 1]) + 1
    return Stretch(begin, end, int((own > STANDS_OUT).sum()), len(own))
