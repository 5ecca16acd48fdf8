"""The contours of a query and of a track on each other, as they are drawn."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from audiosearch.engine.arrays import FloatArray
from audiosearch.engine.tunes.query import TuneQuery
from audiosearch.engine.tunes.representation import FRAME_MS, Tune


@dataclass(frozen=True)
class Overlay:
    """Two contours in the track's time, a value each FRAME_MS from `begin_ms` on.

    song, asked: MIDI numbers with fractions, the latter in the track's key and octave; NaN where
    nothing is heard.
    """

    begin_ms: int
    song: FloatArray
    asked: FloatArray


def overlay(query: TuneQuery, tune: Tune, path: Sequence[tuple[int, int]], lift: float) -> Overlay:
    """What agrees along a path of frames, (of the query, of the track), in ascending order.

    lift: semitones that bring the query's keys to the track's.
    """
    begin, end = path[0][1], path[-1][1]
    song = tune.contour_keys[begin : end + 1]
    asked = np.full(end + 1 - begin, np.nan, np.float32)
    frames = [frame - begin for _, frame in path]
    keys = query.keys[[frame for frame, _ in path]] + np.float32(lift)
    asked[frames] = keys
    skipped = np.flatnonzero(np.isnan(asked))  # where the track goes on by more than one
    asked[skipped] = np.interp(skipped, frames, keys)
    apart = song - asked
    if not np.isnan(apart).all():
        asked += 12 * np.round(np.nanmedian(apart) / 12)
    return Overlay(begin * FRAME_MS, song, asked.astype(np.float32))
