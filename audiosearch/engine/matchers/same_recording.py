"""Which recording an excerpt was taken from, from which moment of it, and how sure that is."""

from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import soxr

from audiosearch.engine.analyzers.landmarks.spectrum import SAMPLE_RATE, frames_to_ms
from audiosearch.engine.arrays import FloatArray
from audiosearch.engine.indexes.filters import TrackFilter
from audiosearch.engine.indexes.landmarks_base import Candidates, LandmarkIndex, LandmarkQuery
from audiosearch.engine.matchers.base import Matcher, MatcherSpec
from audiosearch.engine.matchers.recording.ladder import RUNGS
from audiosearch.engine.matchers.recording.probability import (
    FIRST_PASS,
    LADDER,
    MATCH,
    MAYBE,
    Calibration,
)
from audiosearch.engine.matchers.recording.query import RecordingQuery
from audiosearch.engine.matchers.recording.ranking import (
    Place,
    Ranking,
    rank_as_it_is,
    rank_by_rungs,
)
from audiosearch.engine.matchers.recording.strangers import SPACE as STRANGERS
from audiosearch.engine.matchers.recording.strangers import made_songs
from audiosearch.engine.matchers.recording.verifying import Evidence, evidence_of

SHORTEST_S = 2.5
QUIETEST_DBFS = -70.0
STEADIEST = 0.1
"""Nepers by which the levels of a sound vary at least, in the median bin; noise has about 0.6."""
FEWEST_PEAKS_A_SECOND = 3
EQUAL_EVIDENCE = 0.85
"""Of the best score: places of a track with as much are repeats of what was heard."""
REPEAT_FRAMES = 10
FAINTEST_HIT = 0.05


@dataclass(frozen=True)
class RecordingHit:
    """Where an excerpt was taken from, probably.

    start_ms, end_ms: in the track; query_start_ms, query_end_ms: the stretch of the query that
    agrees; speed, pitch: the query's, 1.0 as recorded; aligned, of: how many of the track's
    landmarks in there stand out in the query; score: standard deviations above chance.
    """

    item_id: int
    probability: float
    start_ms: int
    end_ms: int
    query_start_ms: int
    query_end_ms: int
    speed: float
    pitch: float
    aligned: int
    of: int
    score: float


@dataclass(frozen=True)
class RecordingAnswer:
    """The verdict on the likeliest track, why in words, and hits: by track the likeliest first,
    each track's repeats of equal evidence together."""

    verdict: Literal["match", "maybe", "none"]
    reason: str
    hits: list[RecordingHit]


class SameRecording(Matcher[RecordingQuery]):
    """Votes of landmarks, verified in the query's spectrogram; see docs/recognition.md."""

    spec = MatcherSpec("same_recording", kind="landmarks", question="Which recording is this from?")

    def match(
        self,
        query: RecordingQuery,
        index: LandmarkIndex,
        space: str,
        *,
        top_k: int,
        where: TrackFilter,
        ladder: bool = True,
    ) -> RecordingAnswer:
        """The likeliest `top_k` tracks; with `ladder`, other speeds are tried where none matches.

        Raises IndexUnavailable and SpaceMissing.
        """
        unfit = why_unfit(query)
        if unfit:
            return RecordingAnswer("none", unfit, [])
        evidence = evidence_of(query)
        find = partial(_find, index, space, where)
        ranking = rank_as_it_is(query, evidence, find)
        answer = _answer(query, evidence, ranking, FIRST_PASS, top_k)
        if answer.verdict == "match" or not ladder:
            return answer
        rungs = rank_by_rungs(query, evidence, find, RUNGS)
        other = _answer(query, evidence, rungs, LADDER, top_k)
        return max(answer, other, key=lambda one: one.hits[0].probability if one.hits else 0.0)


def identify(
    samples: FloatArray,
    rate: int,
    index: LandmarkIndex,
    space: str,
    where: TrackFilter = TrackFilter(),  # noqa: B008  frozen
    top_k: int = 5,
) -> RecordingAnswer:
    """Which recording of a space these samples were taken from; for notebooks and scripts.

    samples: (n,) mono or (n, channels) in -1..1, at `rate` Hz. Raises as `SameRecording.match`.
    """
    mono = samples.mean(axis=1) if samples.ndim == 2 else samples
    own = soxr.resample(np.asarray(mono, np.float32), rate, SAMPLE_RATE)
    query = RecordingQuery.from_samples(np.asarray(own, np.float32))
    return SameRecording().match(query, index, space, top_k=top_k, where=where)


def warm_up() -> None:
    """Compile, or load, all that a query runs, before the first one needs it."""
    samples = np.random.default_rng(0).normal(0, 0.1, 4 * SAMPLE_RATE).astype(np.float32)
    identify(samples, SAMPLE_RATE, made_songs(), STRANGERS)


def why_unfit(query: RecordingQuery) -> str:
    """Why nothing can be recognised by this sound, as a sentence; empty when it can be tried."""
    if query.seconds < SHORTEST_S:
        return f"This is too short: at least {SHORTEST_S:g} seconds are needed."
    if query.level < QUIETEST_DBFS:
        return "This is silence, or too quiet to recognise anything."
    if float(np.median(query.spectrum.std(axis=0))) < STEADIEST:
        return "This is a steady tone, with nothing in it to recognise."
    if len(query.peak_frames) < FEWEST_PEAKS_A_SECOND * query.seconds:
        return "There is too little in this sound to recognise it by."
    return ""


def _find(
    index: LandmarkIndex, space: str, where: TrackFilter, query: LandmarkQuery, top: int
) -> Candidates:
    return index.candidates(space, query, top, where)


def _answer(
    query: RecordingQuery,
    evidence: Evidence,
    ranking: Ranking,
    calibration: Calibration,
    top_k: int,
) -> RecordingAnswer:
    hits: list[RecordingHit] = []
    for best in ranking.best_by_track()[:top_k]:
        standing = ranking.chance.standing(best.score)
        probability = calibration.probability(standing, best.score, query.seconds)
        if probability < FAINTEST_HIT:
            break
        hits += [_hit(query, evidence, one, probability) for one in _repeats(ranking, best)]
    likeliest = hits[0].probability if hits else 0.0
    if likeliest >= MATCH:
        return RecordingAnswer("match", "", hits)
    if likeliest >= MAYBE:
        return RecordingAnswer("maybe", "Something is like it, but the evidence is thin.", hits)
    return RecordingAnswer("none", "No recording of the catalogue agrees with this.", hits)


def _repeats(ranking: Ranking, best: Place) -> list[Place]:
    """The places of a track with as much evidence as its best, which comes first."""
    found = [best]
    for place in ranking.places:
        if place.item_id != best.item_id or place.score < EQUAL_EVIDENCE * best.score:
            continue
        if all(abs(place.offset - one.offset) > REPEAT_FRAMES for one in found):
            found.append(place)
    return found


def _hit(
    query: RecordingQuery, evidence: Evidence, place: Place, probability: float
) -> RecordingHit:
    stretch = place.stretch(evidence)
    speed = place.rung.speed
    ends = [frames_to_ms(place.offset + frame * speed) for frame in (stretch.begin, stretch.end)]
    query_ends = [frames_to_ms(frame) for frame in (stretch.begin, stretch.end)]
    return RecordingHit(
        item_id=place.item_id,
        probability=probability,
        start_ms=max(0, ends[0]),
        end_ms=max(0, ends[1]),
        query_start_ms=query.begin_ms + query_ends[0],
        query_end_ms=query.begin_ms + query_ends[1],
        speed=speed,
        pitch=place.rung.pitch,
        aligned=stretch.aligned,
        of=stretch.of,
        score=place.score,
    )
