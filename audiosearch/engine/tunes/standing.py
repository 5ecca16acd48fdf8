"""How far a hit stands above the field: what its probability can be told from."""

from collections.abc import Sequence
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
    Ranking,
    mapped,
)

NARROWEST = 1e-3
"""Of a field, in cost per frame, so that no division is by nothing."""


@dataclass(frozen=True)
class Standing:
    """How a hit compares with the field, the tracks that were asked and made ones where they are
    few; 0 is the field's median and 1 its 95th percentile.

    height: of its score; tracks: how many were asked, those shorter than the query not counted;
    folded, unfolded, contour: heights by each way alone, in the key that fits best by all.
    """

    height: float
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
        """scores: those that are not finite are left out; weights: how many tracks each is, 0 of
        those that are left out, too."""
        heard = np.isfinite(scores) & (weights > 0)
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
    tunes: Sequence[PackedTune],
    ranking: Ranking,
    hits: Sequence[int],
    asked: int,
    threads: int,
) -> list[Standing]:
    """Of some of the ranked; hits: places in the ranking; asked: how many of the tunes were asked,
    those after them are made ones."""
    scores, weights = ranking.fits.scores, ranking.weights
    field = Field.of(scores, weights)
    sample = np.flatnonzero(np.isfinite(scores) & (weights > 0))
    sample = sample[np.linspace(0, len(sample) - 1, min(SAMPLED, len(sample))).astype(int)]
    places = sorted({*hits, *sample.tolist()})
    found = mapped(lambda place: _by_way(compared, tunes, ranking, place), places, threads)
    by_way = dict(zip(places, found, strict=True))
    sampled = np.array([by_way[place] for place in sample.tolist()], np.float32).reshape(-1, 3)
    fields = [Field.of(column, weights[sample]) for column in sampled.T]
    own = ranking.tracks < asked
    return [
        Standing(
            field.height(float(scores[place])),
            round(float(weights[own].sum())),
            *(one.height(score) for one, score in zip(fields, by_way[place], strict=True)),
        )
        for place in hits
    ]


def _by_way(
    compared: Compared, tunes: Sequence[PackedTune], ranking: Ranking, place: int
) -> list[float]:
    """The score by each way alone, in the key and tuning that are best by all."""
    tuning, key = int(ranking.fits.tunings[place]), int(ranking.fits.keys[place])
    tune = [tunes[ranking.tracks[place]]]
    own = compared.only(slice(tuning, tuning + 1), slice(1))
    octave = own.only(slice(1), slice(1), slice(12))  # all that there is where octaves are folded
    by_way = (octave.costs(tune, FOLDED), own.costs(tune, UNFOLDED), octave.costs(tune, CONTOUR))
    costs = [one[0, 0] for one in by_way]
    return [float(FITTING_ANY * one.mean() - one[key % len(one)]) for one in costs]
