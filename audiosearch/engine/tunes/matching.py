"""Which track has a tune that was hummed, whistled or played, where in it, and how it differs."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audiosearch.engine.arrays import FloatArray
from audiosearch.engine.tunes.alignment import agreeing, align
from audiosearch.engine.tunes.field import FEWEST, strangers
from audiosearch.engine.tunes.packing import FULL, PackedTune, PackedTunes
from audiosearch.engine.tunes.query import TuneQuery, why_unfit
from audiosearch.engine.tunes.ranking import (
    TUNINGS,
    Compared,
    Ranking,
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
    long_enough = [tune for tune in tunes.packed if len(tune) >= compared.frames]
    missing = max(0, FEWEST - len(long_enough))
    others = strangers(long_enough, compared.frames)[:missing] if missing else []
    field = [*tunes.packed, *others]
    ranking = rank_tracks(compared, field, top_k, threads)
    scores = np.where(ranking.tracks < len(tunes), ranking.fits.scores, -np.inf)
    best = np.argsort(-scores, kind="stable")[: min(top_k, int(np.isfinite(scores).sum()))]
    places = best.tolist()
    standing = standings(compared, field, ranking, places, len(tunes), threads)

    def told(found: tuple[int, Standing]) -> TuneHit:
        return _hit(query, tunes, compared.lowest, ranking, *found)

    hits = mapped(told, list(zip(places, standing, strict=True)), threads)
    return TuneAnswer("", hits)


def _hit(
    query: TuneQuery,
    tunes: PackedTunes,
    lowest: int,
    ranking: Ranking,
    place: int,
    standing: Standing,
) -> TuneHit:
    track, fits = int(ranking.tracks[place]), ranking.fits
    shift = lowest + int(fits.keys[place])
    lift = shift - query.tuning + TUNINGS[int(fits.tunings[place])]
    costs = _costs(query.keys + np.float32(lift), tunes.packed[track])
    path = align(costs)
    stretch = agreeing(costs, path)
    asked = query.times_ms[[stretch.query_begin, stretch.query_end]] + [-FRAME_MS / 2, FRAME_MS / 2]
    frames = stretch.end - stretch.begin + 1
    return TuneHit(
        item_id=tunes.item_ids[track],
        score=float(fits.scores[place]),
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
