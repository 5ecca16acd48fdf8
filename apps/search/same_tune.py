"""Which track has a tune that was hummed or whistled, or that of a track, as one of the answers."""

import os
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from django.conf import settings
from django.db.models import QuerySet

from apps.analysis.answers import Answer, Answerer, AnswerHit
from apps.analysis.clips import Sound
from apps.analysis.index import get_index
from apps.analysis.models import SpaceKind, TrackAnalysis
from apps.analysis.representations import NotKept, load_kept
from apps.analysis.spaces import active_name, active_space, progress_of
from apps.analysis.turns import model_turn
from apps.search.queries import SearchQuestion, kept_query
from audiosearch.engine.arrays import FloatArray
from audiosearch.engine.errors import IndexUnavailable, SpaceMissing
from audiosearch.engine.indexes.filters import TrackFilter
from audiosearch.engine.matchers import same_tune as matching
from audiosearch.engine.matchers.same_tune import LikelyTune, SameTuneAnswer
from audiosearch.engine.matchers.same_tune import SameTune as TuneMatcher
from audiosearch.engine.tunes.analysis import tune_of
from audiosearch.engine.tunes.matching import TuneHit
from audiosearch.engine.tunes.overlay import overlay
from audiosearch.engine.tunes.query import TuneQuery
from audiosearch.engine.tunes.representation import FRAME_MS, Tune
from audiosearch.engine.tunes.salience import SAMPLE_RATE
from audiosearch.engine.tunes.shelf import TuneShelf
from audiosearch.engine.tunes.stretches import stretches_of

MATCHER = TuneMatcher()
LONGEST_HUM_S = 40
"""Who hums does so for less; what is longer is taken for a recording."""
THREADS = max(1, len(os.sched_getaffinity(0)) // 2)
"""That match at once; the other cores are left to others."""
WARMED = 10_000
"""Tunes that are read before the first search, at most."""
NOTHING_YET = SameTuneAnswer("none", "No recording has been analysed for this yet.", [])
NO_MELODY = "There is no melody in this recording."


class SameTune(Answerer):
    """By the melody alone: a hum, a whistle, or the same played differently."""

    title = "Same tune"
    template = "search/answers/tune.html"

    def sample_rate(self) -> int:
        return SAMPLE_RATE

    def knows_tracks(self, *, whole: bool) -> bool:
        return True

    def answer(self, asked: SearchQuestion) -> Answer:  # type: ignore[override] # of a search
        space = active_name(SpaceKind.MELODY)
        if asked.track_id is None:
            queries = _queries(asked.sound)
        else:
            tune = kept_query(space, asked.track_id, Tune)
            queries = stretches_of(tune, asked.settings.start_ms or 0, asked.settings.end_ms)
        if not queries:
            return Answer("none", NO_MELODY)
        found = [
            Asked(began_ms, query, _recognise(space, query, asked.top_k, asked.where))
            for began_ms, query in queries
        ]
        best = max((one.answer for one in found), key=lambda answer: answer.likeliest)
        reason = best.reason
        if best.verdict == "none":
            progress = progress_of(active_space(SpaceKind.MELODY), by=asked.by)
            if waiting := progress.queued + progress.listening:
                reason += f" {waiting} more are still being analysed."
        return Answer(best.verdict, reason, _answer_hits(space, found, asked.top_k))


@dataclass(frozen=True)
class Asked:
    """A stretch of what is asked with, from began_ms on, and what it was answered."""

    began_ms: int
    query: TuneQuery
    answer: SameTuneAnswer


def _queries(sound: Sound) -> list[tuple[int, TuneQuery]]:
    """What is asked by a clip, and from when on in its file; of a long one some stretches, or none
    where it has no melody."""
    samples = sound.samples(SAMPLE_RATE)
    with model_turn():
        if len(samples) <= LONGEST_HUM_S * SAMPLE_RATE:
            return [(sound.start_ms, TuneQuery.of_sound(samples, SAMPLE_RATE))]
        found = stretches_of(tune_of(samples))
    return [(sound.start_ms + began_ms, query) for began_ms, query in found]


def recognise_tune(query: TuneQuery, *, top_k: int, where: TrackFilter) -> SameTuneAnswer:
    """Which of the tracks that `where` allows have this tune. Raises IndexUnavailable."""
    return _recognise(active_name(SpaceKind.MELODY), query, top_k, where)


def _recognise(space: str, query: TuneQuery, top_k: int, where: TrackFilter) -> SameTuneAnswer:
    try:
        with model_turn():
            return MATCHER.match(
                query,
                get_index(),
                space,
                top_k=top_k,
                where=where,
                shelf=shelf_of(space),
                tracks=_indexed(space).count(),
                threads=THREADS,
            )
    except SpaceMissing as error:
        if _indexed(space).exists():
            raise IndexUnavailable(
                "The index of tunes lost its content; it is being built anew."
            ) from error
        return NOTHING_YET


def _indexed(space: str) -> QuerySet[TrackAnalysis]:
    return TrackAnalysis.objects.filter(space__name=space, windows__gt=0)


def warm_up() -> None:
    """Compile what matches, and read the tunes of the active space, before the first search.

    Raises IndexUnavailable.
    """
    matching.warm_up()
    space = active_name(SpaceKind.MELODY)
    with suppress(SpaceMissing):  # nothing has been analysed yet
        shelf_of(space).tunes(get_index().item_ids(space, TrackFilter(), WARMED))


@lru_cache(maxsize=2)
def shelf_of(space: str) -> TuneShelf:
    """The tunes of a space that this process has read; what was read of a track stays true."""

    def load(track_id: int) -> Tune | None:
        try:
            return load_kept(space, track_id, Tune)
        except NotKept:
            return None

    return TuneShelf(load, settings.TUNE_MEMORY_MB << 20)


def _answer_hits(space: str, found: Sequence[Asked], top_k: int) -> list[AnswerHit]:
    """Of the likeliest tracks all stretches that agree: its likeliest first, then in order."""
    by_track = defaultdict[int, list[tuple[Asked, LikelyTune]]](list)
    for one in found:
        for likely in one.answer.hits:
            by_track[likely.hit.item_id].append((one, likely))
    ranked = []
    for hits in by_track.values():
        best = max(hits, key=lambda each: each[1].probability)
        others = [each for each in hits if each is not best]
        ranked.append([best, *sorted(others, key=lambda each: each[1].hit.start_ms)])
    ranked.sort(key=lambda hits: -hits[0][1].probability)
    return [_answer_hit(space, *each) for hits in ranked[:top_k] for each in hits]


def _answer_hit(space: str, one: Asked, likely: LikelyTune) -> AnswerHit:
    hit = likely.hit
    return AnswerHit(
        track_id=hit.item_id,
        probability=round(likely.probability, 4),
        start_ms=hit.start_ms,
        end_ms=hit.end_ms,
        query_start_ms=one.began_ms + hit.query_start_ms,
        query_end_ms=one.began_ms + hit.query_end_ms,
        speed=round(hit.tempo, 3),
        evidence={
            "key_difference": hit.key_difference,
            "score": round(hit.score, 3),
            "contours": _contours(space, one.query, hit),
        },
    )


def _contours(space: str, query: TuneQuery, hit: TuneHit) -> dict[str, Any] | None:
    """Both lines of an overlay, to be drawn; None where the track is gone meanwhile."""
    try:
        tune = load_kept(space, hit.item_id, Tune)
    except NotKept:
        return None
    lines = overlay(query, tune, hit.path, hit.lift)
    return {
        "step_ms": FRAME_MS,
        "begin_ms": lines.begin_ms,
        "song": _numbers(lines.song),
        "asked": _numbers(lines.asked),
    }


def _numbers(keys: FloatArray) -> list[float | None]:
    return [None if np.isnan(key) else round(float(key), 1) for key in keys]
