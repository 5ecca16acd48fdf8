"""Which track has a tune that was hummed, whistled or played, where in it, and how it differs."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from audiosearch.engine.arrays import FloatArray
from audiosearch.engine.tunes.alignment import agreeing, align
from audiosearch.engine.tunes.field import FEWEST, strangers
from audiosearch.engine.tunes.packing import FULL, PackedTune, PackedTunes
from audiosearch.engine.tunes.query import TuneQuery, why_unfit
from audiosearch.engine.tunes.ranking import (
    CONTOUR,
    TUNINGS,
    Compared,
    Fit,
    mapped,
    rank_tracks,
)
from audiosearch.engine.tunes.representation import CLASSES, FRAME_MS
from audiosearch.engine.tunes.salience import KEYS, LOWEST_KEY, STEPS
from audiosearch.engine.tunes.standing import Standing, standings


@dataclass(frozen=True)
class TuneHit:
    """A track that may have the tune.

    start_ms, end_ms: in the track; query_start_ms, query_end_ms: the stretch of the query that
    agrees; key_difference: semitones that the query is above the track; tempo: of the query, 1.0
    as fast as the track; score: the higher the better, and no probability; standing: what one can
    be told from; path: of that stretch, pairs of a frame of the query (a place in its keys) and the
    frame of the track that it is aligned with; lift: semitones, with fractions, to add to the
    query's keys to draw them on the track's contour.
    """

    item_id: int
    score: float
    start_ms: int
    end_ms: int
    query_start_ms: int
    query_end_ms: int
    key_difference: int
    tempo: float
    standing: Standing
    path: tuple[tuple[int, int], ...]
    lift: float


@dataclass(frozen=True)
class TuneAnswer:
    """Hits, the best first; or none, and why in words."""

    reason: str
    hits: list[TuneHit]


class TrackScores(NamedTuple):
    """(tracks,) each, the higher the better; fused: -inf where a track was not matched in full."""

    contour: FloatArray
    fused: FloatArray


def match_tune(
    query: TuneQuery, tunes: PackedTunes, *, top_k: int = 10, threads: int = 1
) -> TuneAnswer:
    """The `top_k` tracks whose tune is likest to the query, whatever its key, octave and tempo.

    Tempi from half to twice the track's are reached. threads: among which tracks are split, at
    most; the answer is the same. See docs/tunes.md.
    """
    unfit = why_unfit(query)
    if unfit or not len(tunes):
        return TuneAnswer(unfit or "There is no tune to compare this with.", [])
    compared = Compared.of(query)
    field = [*tunes.packed, *strangers(tunes.packed)[: max(0, FEWEST - len(tunes))]]
    ranking = rank_tracks(compared, field, top_k, threads)
    order = np.argsort(-ranking.scores, kind="stable").tolist()
    best = [
        place
        for place in order
        if ranking.tracks[place] < len(tunes) and np.isfinite(ranking.fits[place].score)
    ][:top_k]
    standing = standings(compared, field, ranking, best, len(tunes), threads)
    pairs = list(zip(best, standing, strict=True))

    def told(pair: tuple[int, Standing]) -> TuneHit | None:
        track, fit = ranking.tracks[pair[0]], ranking.fits[pair[0]]
        return _hit(query, tunes.item_ids[track], field[track], fit, compared.lowest, pair[1])

    return TuneAnswer("", [hit for hit in mapped(told, pairs, threads) if hit])


def score_tracks(query: TuneQuery, tunes: PackedTunes) -> TrackScores:
    """How well each track fits, by the distance of contours alone and by all three ways.

    query: one that is not unfit; tunes: at least one. The likeliest are tried in other tunings, by
    contours alone they are not.
    """
    compared = Compared.of(query)
    plain = compared.only(slice(1), slice(None))
    contour = [-plain.costs(tune, CONTOUR).min() for tune in tunes.packed]
    fused = np.full(len(tunes), -np.inf, np.float32)
    ranking = rank_tracks(compared, tunes.packed, 1, threads=1)
    fused[ranking.tracks] = ranking.scores
    return TrackScores(np.array(contour, np.float32), fused)


def _hit(
    query: TuneQuery, item_id: int, tune: PackedTune, fit: Fit, lowest: int, standing: Standing
) -> TuneHit | None:
    """None for a track that is too short for the query."""
    shift = lowest + fit.key
    lift = shift - query.tuning + TUNINGS[fit.tuning]
    costs = _costs(query.keys + np.float32(lift), tune)
    path = align(costs)
    if not path:
        return None
    stretch = agreeing(costs, path)
    asked = query.times_ms[[stretch.query_begin, stretch.query_end]] + [-FRAME_MS / 2, FRAME_MS / 2]
    frames = stretch.end - stretch.begin + 1
    return TuneHit(
        item_id=item_id,
        score=fit.score,
        start_ms=stretch.begin * FRAME_MS,
        end_ms=(stretch.end + 1) * FRAME_MS,
        query_start_ms=max(0, round(float(asked[0]))),
        query_end_ms=round(float(asked[1])),
        key_difference=-shift,
        tempo=frames / (stretch.query_end - stretch.query_begin + 1),
        standing=standing,
        path=tuple(p for p in path if stretch.query_begin <= p[0] <= stretch.query_end),
        lift=lift,
    )


def _costs(keys: FloatArray, tune: PackedTune) -> NDArray[np.uint8]:
    """(frames of the query, frames of the track) by both saliences."""
    rows = np.round(keys).astype(np.int64) - LOWEST_KEY
    in_reach = (rows >= 0) & (rows < KEYS)
    there = np.where(in_reach[:, None], tune.unfolded[np.clip(rows, 0, KEYS - 1)], np.uint8(FULL))
    classes = np.round(keys * STEPS).astype(np.int64) % CLASSES
    return np.asarray((tune.folded[classes] + there) >> 1, np.uint8)
