"""Scores told by how strangers score: adaptive symmetric normalisation with a cohort.

Some voices, above all short and noisy ones, are near to everybody; what counts is how much nearer
two of them are to each other than to the strangers nearest to either. The cohort holds strangers in
quiet and in noise, so that noise is not taken for a voice. Matějka et al., "Analysis of Score
Normalization in Multilingual Speaker Recognition", 2017, doi:10.21437/Interspeech.2017-803.
"""

import numpy as np
from numpy.typing import NDArray

from audiosearch.engine.arrays import FloatArray

Scores = NDArray[np.float64]
NEAREST = 60
SKIPPED = 4
"""The very nearest are not counted: who is compared may be in the cohort, in quiet and in noise."""

LEAST = 30
"""Fewer speakers say too little of what a stranger scores."""


def score_voices(ones: FloatArray, others: FloatArray, cohort: FloatArray | None) -> Scores:
    """(m, n) scores of (m, d) against (n, d) unit vectors.

    cohort: (k, d) unit vectors of strangers; then a score says how many standard deviations above
    the nearest of them the similarity is, averaged over both sides. Without it, a score is the
    cosine similarity.
    """
    similarities = (ones @ others.T).astype(np.float64)
    if cohort is None:
        return similarities
    mean, spread = _nearest(ones, cohort)
    other_mean, other_spread = _nearest(others, cohort)
    from_one = (similarities - mean[:, None]) / spread[:, None]
    from_other = (similarities - other_mean[None]) / other_spread[None]
    return (from_one + from_other) / 2


def score_within(
    voices: FloatArray, speakers: NDArray[np.intp], cohort: FloatArray, owners: NDArray[np.intp]
) -> Scores:
    """(n, n) scores of (n, d) unit vectors of speakers (n,) who are in the cohort themselves.

    cohort: (k, d), owners: (k,) which speaker each is. Both speakers of a pair are left out of it.
    """
    similarities = (voices @ voices.T).astype(np.float64)
    each = int(np.bincount(owners).max())
    scores = np.empty_like(similarities)
    for at, speaker in enumerate(speakers):
        others = owners != speaker
        known, whose = (voices[at] @ cohort[others].T).astype(np.float64), owners[others]
        order = np.argsort(-known)[: SKIPPED + NEAREST + each]
        counted = whose[order][None] != speakers[:, None]
        rank = np.cumsum(counted, axis=1)
        counted &= (rank > SKIPPED) & (rank <= SKIPPED + NEAREST)
        total = counted.sum(axis=1)
        mean = (counted * known[order]).sum(axis=1) / total
        squares = (counted * known[order] ** 2).sum(axis=1) / total
        spread = np.sqrt(np.maximum(squares - mean**2, 1e-12))
        scores[at] = (similarities[at] - mean) / spread
    return (scores + scores.T) / 2


def _nearest(voices: FloatArray, cohort: FloatArray) -> tuple[Scores, Scores]:
    """(n,) mean and standard deviation of what the nearest of the cohort score."""
    known = -np.sort(-(voices @ cohort.T).astype(np.float64), axis=1)
    known = known[:, SKIPPED : SKIPPED + NEAREST]
    return known.mean(axis=1), np.maximum(known.std(axis=1), 1e-6)
