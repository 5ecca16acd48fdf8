"""Which track has a tune that was hummed, whistled or played, where in it, and how it differs."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from audiosearch.engine.arrays import FloatArray
from audiosearch.engine.tunes.alignment import agreeing, align, lowest_costs
from audiosearch.engine.tunes.packing import FULL, TRIED_KEYS, Block, PackedTunes
from audiosearch.engine.tunes.query import TuneQuery, why_unfit
from audiosearch.engine.tunes.representation import CLASSES, FRAME_MS
from audiosearch.engine.tunes.salience import KEYS, LOWEST_KEY, STEPS

LOWEST_MIDDLE = 57
"""The middle of a query is brought to this key and those of two octaves above it: where melodies
of recordings have theirs."""
FITTING_ANY = 0.35
"""Share of a track's mean cost over all keys that is no merit: it fits whatever is asked."""
CONTOUR_SHARE = 0.3
OTHER_TUNINGS = -1 / STEPS, 1 / STEPS
"""Semitones by which the likeliest tracks are tried again: who hums is in no tuning for long."""
TRIED_AGAIN = 50


@dataclass(frozen=True)
class TuneHit:
    """A track that may have the tune.

    start_ms, end_ms: in the track; query_start_ms, query_end_ms: the stretch of the query that
    agrees; key_difference: semitones that the query is above the track; tempo: of the query, 1.0
    as fast as the track; score: the higher the better, and no probability.
    """

    item_id: int
    score: float
    start_ms: int
    end_ms: int
    query_start_ms: int
    query_end_ms: int
    key_difference: int
    tempo: float


@dataclass(frozen=True)
class TuneAnswer:
    """Hits, the best first; or none, and why in words."""

    reason: str
    hits: list[TuneHit]


class TrackScores(NamedTuple):
    """(tracks,) each, the higher the better; shifts: semitones from the query up to the track."""

    contour: FloatArray
    fused: FloatArray
    shifts: NDArray[np.int64]


def match_tune(query: TuneQuery, tunes: PackedTunes, *, top_k: int = 10) -> TuneAnswer:
    """The `top_k` tracks whose tune is likest to the query, whatever its key, octave and tempo.

    Tempi from half to twice the track's are reached. See docs/tunes.md.
    """
    unfit = why_unfit(query)
    if unfit or not len(tunes):
        return TuneAnswer(unfit or "There is no tune to compare this with.", [])
    scores = score_tracks(query, tunes)
    best = np.argsort(-scores.fused, kind="stable")[:top_k]
    found = (
        _hit(query, tunes, int(track), float(scores.fused[track]), int(scores.shifts[track]))
        for track in best
    )
    return TuneAnswer("", [hit for hit in found if hit])


def score_tracks(query: TuneQuery, tunes: PackedTunes) -> TrackScores:
    """How well each track fits, by the distance of contours alone and by all three ways.

    query: one that is not unfit; tunes: at least one. The likeliest are tried in other tunings, by
    contours alone they are not.
    """
    keys = query.keys - query.tuning
    scores = _scores_in_tuning(keys, tunes)
    best = np.argsort(-scores.fused, kind="stable")[:TRIED_AGAIN]
    likeliest = tunes.only(best)
    for tuning in OTHER_TUNINGS:
        tried = _scores_in_tuning(keys + tuning, likeliest)
        better = tried.fused > scores.fused[best]
        scores.fused[best[better]] = tried.fused[better]
        scores.shifts[best[better]] = tried.shifts[better]
    return scores


def _scores_in_tuning(keys: FloatArray, tunes: PackedTunes) -> TrackScores:
    """By what the best key costs, all three ways together, less what any key costs."""
    classes = _classes(keys)
    lowest = LOWEST_MIDDLE - round(float(np.median(keys)))
    rows = np.round(keys).astype(np.int64) - LOWEST_KEY + lowest + TRIED_KEYS
    rows = np.clip(rows, 0, KEYS + TRIED_KEYS)
    folded, unfolded, contours = (
        np.concatenate(found, axis=1)
        for found in zip(*(_costs(block, classes, rows) for block in tunes.blocks), strict=True)
    )
    shifts = lowest + np.arange(TRIED_KEYS)
    together = unfolded + (folded + CONTOUR_SHARE * contours)[shifts % 12]
    fused = FITTING_ANY * together.mean(axis=0) - together.min(axis=0)
    return TrackScores(-contours.min(axis=0), fused, shifts[together.argmin(axis=0)])


def _costs(
    block: Block, classes: NDArray[np.int64], rows: NDArray[np.int64]
) -> tuple[FloatArray, FloatArray, FloatArray]:
    octave, keys = range(0, CLASSES, STEPS), range(TRIED_KEYS)
    return (
        lowest_costs(block.folded_costs(), classes, octave, block),
        lowest_costs(block.unfolded_costs(), rows, keys, block),
        lowest_costs(block.contour_costs(), classes, octave, block),
    )


def _classes(keys: FloatArray) -> NDArray[np.int64]:
    return np.round(keys * STEPS).astype(np.int64) % CLASSES


def _hit(
    query: TuneQuery, tunes: PackedTunes, track: int, score: float, shift: int
) -> TuneHit | None:
    """None for a track that is too short for the query."""
    folded, unfolded, _ = tunes.costs_of(track)
    keys = query.keys - query.tuning + shift
    rows = np.round(keys).astype(np.int64) - LOWEST_KEY
    in_reach = (rows >= 0) & (rows < KEYS)
    there = np.where(in_reach[:, None], unfolded[np.clip(rows, 0, KEYS - 1)], np.uint8(FULL))
    costs = ((folded[_classes(keys)] + there) >> 1).astype(np.uint8)
    path = align(costs)
    if not path:
        return None
    stretch = agreeing(costs, path)
    asked = query.times_ms[[stretch.query_begin, stretch.query_end]] + [-FRAME_MS / 2, FRAME_MS / 2]
    frames = stretch.end - stretch.begin + 1
    return TuneHit(
        item_id=int(tunes.item_ids[track]),
        score=score,
        start_ms=stretch.begin * FRAME_MS,
        end_ms=(stretch.end + 1) * FRAME_MS,
        query_start_ms=max(0, round(float(asked[0]))),
        query_end_ms=round(float(asked[1])),
        key_difference=-shift,
        tempo=frames / (stretch.query_end - stretch.query_begin + 1),
    )
