"""How far a hit stands above the field: what its probability can be told from."""

from dataclasses import dataclass

import numpy as np

from audiosearch.engine.arrays import FloatArray
from audiosearch.engine.tunes.packing import PackedTune
from audiosearch.engine.tunes.ranking import (
    CONTOUR,
    FITTING_ANY,
    FOLDED,
    SAMPLED,
    UNFOLDED,
    Compared,
    Fit,
    Ranking,
    Shares,
    mapped,
)

NARROWEST = 1e-3
"""Of a field, in cost per frame, so that no division is by nothing."""


@dataclass(frozen=True)
class Standing:
    """How a hit compares with the field, the tracks that were asked and made ones where they are
    few; 0 is the field's median and 1 its 95th percentile.

    height: of its score; margin: from the best of all others down, or up where it is not the first;
    tracks: how many were asked, those too short not counted; folded, unfolded, contour: heights by
    each way alone, in the key that fits best by all.
    """

    height: float
    margin: float
    tracks: int
    folded: float
    unfolded: float
    contour: float


@dataclass(frozen=True)
class Field:
    """Median and 95th percentile of what tracks score."""

    median: float
    spread: float

    @classmethod
    def of(cls, scores: FloatArray, weights: FloatArray) -> "Field":
        """scores: those that are not finite are left out; weights: how many tracks each is."""
        heard = np.isfinite(scores)
        if not heard.any():
            return cls(0.0, 1.0)
        order = np.argsort(scores[heard])
        ranked, share = scores[heard][order], np.cumsum(weights[heard][order])
        share = (share - weights[heard][order] / 2) / share[-1]
        median, high = np.interp((0.5, 0.95), share, ranked)
        return cls(float(median), max(float(high - median), NARROWEST))

    def height(self, score: float) -> float:
        """0 at the median and 1 at the 95th percentile."""
        return (score - self.median) / self.spread


def standings(
    compared: Compared,
    tunes: list[PackedTune],
    ranking: Ranking,
    hits: list[int],
    asked: int,
    threads: int,
) -> list[Standing]:
    """Of some of the ranked; hits: places in the ranking; asked: of the tunes, those that were
    asked and not made."""
    scores = ranking.scores
    field = Field.of(scores, ranking.weights)
    sample = np.flatnonzero(np.isfinite(scores))
    sample = sample[np.linspace(0, len(sample) - 1, min(SAMPLED, len(sample))).astype(int)]
    places = sorted({*hits, *sample.tolist()})
    found = mapped(lambda at: _ways(compared, tunes, ranking, at), places, threads)
    ways = dict(zip(places, found, strict=True))
    weights = ranking.weights[sample]
    fields = [
        Field.of(np.array([ways[at][way] for at in sample.tolist()], np.float32), weights)
        for way in range(3)
    ]
    long_enough = np.isfinite(scores) & (np.array(ranking.tracks) < asked)
    tracks = round(float(ranking.weights[long_enough].sum()))
    best = np.sort(scores)[-2:]
    return [
        Standing(
            field.height(float(scores[at])),
            _margin(float(scores[at]), best) / field.spread,
            tracks,
            *(one.height(score) for one, score in zip(fields, ways[at], strict=True)),
        )
        for at in hits
    ]


def _margin(score: float, best: FloatArray) -> float:
    """To the best of the others; 0 where there is none."""
    others = best[:-1] if score >= best[-1] else best[-1:]
    return score - float(others[0]) if len(others) and np.isfinite(others[0]) else 0.0


def _ways(
    compared: Compared, tunes: list[PackedTune], ranking: Ranking, place: int
) -> tuple[float, ...]:
    tune, fit = tunes[ranking.tracks[place]], ranking.fits[place]
    own = compared.only(slice(fit.tuning, fit.tuning + 1), slice(1))
    return tuple(_by(own, tune, fit, shares) for shares in (FOLDED, UNFOLDED, CONTOUR))


def _by(compared: Compared, tune: PackedTune, fit: Fit, shares: Shares) -> float:
    costs = compared.costs(tune, shares)[0]
    return float(FITTING_ANY * costs.mean() - costs[fit.key])
