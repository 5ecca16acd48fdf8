"""Which track has a tune that was hummed, whistled or played differently, and how sure that is."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from audiosearch.engine.indexes.base import VectorIndex
from audiosearch.engine.indexes.filters import TrackFilter
from audiosearch.engine.matchers.base import Matcher, MatcherSpec
from audiosearch.engine.tunes.candidates import tune_candidates
from audiosearch.engine.tunes.field import made_tune
from audiosearch.engine.tunes.matching import TuneHit, match_tune
from audiosearch.engine.tunes.packing import PackedTunes
from audiosearch.engine.tunes.probability import highest, probabilities, verdict_of
from audiosearch.engine.tunes.query import LONGEST_FRAMES, TuneQuery, why_unfit
from audiosearch.engine.tunes.salience import SAMPLE_RATE
from audiosearch.engine.tunes.shelf import TuneShelf

ALL_BELOW = 5_000
"""Tracks of a space up to which all that the filter allows are matched; of larger ones, those whose
windows are nearest are."""
CANDIDATES = 2_000
FAINTEST_HIT = 0.05
REASONS = {
    "match": "",
    "maybe": "Something is like it, but the evidence is thin.",
    "none": "No tune of the catalogue agrees with this.",
}


@dataclass(frozen=True)
class LikelyTune:
    """A hit and the probability that its track has the tune."""

    hit: TuneHit
    probability: float


@dataclass(frozen=True)
class SameTuneAnswer:
    """The verdict on the likeliest track, why in words, and hits, the likeliest first."""

    verdict: Literal["match", "maybe", "none"]
    reason: str
    hits: list[LikelyTune]

    @property
    def likeliest(self) -> float:
        """Probability of the first hit, 0 where there is none."""
        return self.hits[0].probability if self.hits else 0.0


class SameTune(Matcher[TuneQuery]):
    """Warped alignment in any key; see docs/tunes.md."""

    spec = MatcherSpec("same_tune", kind="melody", question="Which song has this tune?")

    def match(  # type: ignore[override]  # what is verified with is kept outside the index
        self,
        query: TuneQuery,
        index: VectorIndex,
        space: str,
        *,
        top_k: int,
        where: TrackFilter,
        shelf: TuneShelf,
        tracks: int,
        threads: int = 1,
    ) -> SameTuneAnswer:
        """The likeliest `top_k` tracks; shelf: the tunes of this space, by track; tracks: how many
        have any.

        Raises IndexUnavailable and SpaceMissing.
        """
        unfit = why_unfit(query)
        if unfit:
            return SameTuneAnswer("none", unfit, [])
        if tracks > ALL_BELOW:
            ids = tune_candidates(query, index, space, where, CANDIDATES)
        else:
            ids = index.item_ids(space, where, ALL_BELOW)
        found = match_tune(query, shelf.tunes(ids), top_k=top_k, threads=threads)
        likely = probabilities([hit.standing for hit in found.hits], highest(query))
        return _judged(found.reason, found.hits, likely)


def warm_up() -> None:
    """Compile, or load, all that a query runs, before the first one needs it."""
    at = np.arange(6 * SAMPLE_RATE) / SAMPLE_RATE
    keys = 60 + 2 * (at / 0.6).astype(int)
    scale = np.sin(2 * np.pi * np.cumsum(440 * 2 ** ((keys - 69) / 12)) / SAMPLE_RATE) / 2
    query = TuneQuery.of_sound(scale.astype(np.float32), SAMPLE_RATE)
    match_tune(query, PackedTunes({0: made_tune(0, LONGEST_FRAMES)}))


def _judged(reason: str, hits: list[TuneHit], likely: list[float]) -> SameTuneAnswer:
    told = [
        LikelyTune(hit, probability)
        for hit, probability in zip(hits, likely, strict=True)
        if probability >= FAINTEST_HIT
    ]
    verdict = verdict_of(told[0].probability if told else 0.0)
    return SameTuneAnswer(verdict, reason or REASONS[verdict], told)
