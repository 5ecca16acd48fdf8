"""Places ranked: candidates of all rungs, verified, and the chance that they are measured by."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from audiosearch.engine.analyzers.landmarks.spectrum import LOW_BIN
from audiosearch.engine.indexes.landmarks_base import Candidates, LandmarkQuery
from audiosearch.engine.matchers.recording.probability import Chance, chance_of
from audiosearch.engine.matchers.recording.query import AS_IT_IS, RecordingQuery, Rung
from audiosearch.engine.matchers.recording.strangers import stranger_candidates
from audiosearch.engine.matchers.recording.verifying import (
    Evidence,
    Stretch,
    stretch_of,
    verify,
)

FIRST_TOP, STRANGERS_TOP, LADDER_TOP = 300, 64, 40
Find = Callable[[LandmarkQuery, int], Candidates]


@dataclass(frozen=True)
class Place:
    """Where the query may have been taken from: `offset` is the frame at which it begins there."""

    item_id: int
    offset: int
    score: float
    rung: Rung
    found: Candidates
    number: int

    def stretch(self, evidence: Evidence) -> Stretch:
        """What of the query agrees with the track here."""
        own = slice(self.found.peak_starts[self.number], self.found.peak_starts[self.number + 1])
        shift = self.offset - int(self.found.offsets[self.number])
        frames = np.rint((self.found.peak_frames[own] - shift) / self.rung.speed)
        bins = np.rint(self.found.peak_bins[own] * self.rung.pitch) - LOW_BIN
        return stretch_of(evidence.points, frames.astype(np.int64), bins.astype(np.int64))


@dataclass(frozen=True)
class Ranking:
    """places: all that were verified, the highest score first; chance: of a score."""

    places: list[Place]
    chance: Chance

    def best_by_track(self) -> list[Place]:
        """The best place of each track, the highest score first."""
        best: dict[int, Place] = {}
        for place in self.places:
            best.setdefault(place.item_id, place)
        return list(best.values())

    @property
    def standing(self) -> float:
        """Of the best place."""
        return self.chance.standing(self.places[0].score)


def rank_as_it_is(query: RecordingQuery, evidence: Evidence, find: Find) -> Ranking:
    """The first pass: the query is taken to be played as it was recorded."""
    asked = query.hashed()
    return _ranking(
        _places(evidence, find(asked, FIRST_TOP), AS_IT_IS),
        _places(evidence, stranger_candidates(asked, STRANGERS_TOP), AS_IT_IS),
    )


def rank_by_rungs(
    query: RecordingQuery, evidence: Evidence, find: Find, rungs: Iterable[Rung]
) -> Ranking:
    """The ladder: every rung is tried, and the best places of all of them are ranked together.

    Without near pairs, which take most of the time of a first pass: of the many rungs, one fits.
    """
    places: list[Place] = []
    strangers: list[Place] = []
    for rung in rungs:
        asked = query.hashed(rung, neighbours=False)
        places += _places(evidence, find(asked, LADDER_TOP), rung)
        strangers += _places(evidence, stranger_candidates(asked, LADDER_TOP), rung)
    return _ranking(places, strangers)


def _ranking(places: list[Place], strangers: list[Place]) -> Ranking:
    places = sorted(places, key=lambda place: -place.score)
    chance = chance_of(_best_scores(places), _best_scores(strangers))
    return Ranking(places, chance)


def _places(evidence: Evidence, found: Candidates, rung: Rung) -> list[Place]:
    scores, offsets = verify(evidence, found, rung)
    rows = zip(found.item_ids.tolist(), offsets.tolist(), scores.tolist(), strict=True)
    return [Place(*row, rung, found, number) for number, row in enumerate(rows)]


def _best_scores(places: list[Place]) -> list[float]:
    best: dict[int, float] = {}
    for place in places:
        best[place.item_id] = max(best.get(place.item_id, place.score), place.score)
    return sorted(best.values(), reverse=True)
