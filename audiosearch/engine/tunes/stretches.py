"""What of a recording is asked for, to find others of the same tune."""

import numpy as np

from audiosearch.engine.tunes.query import TuneQuery, why_unfit
from audiosearch.engine.tunes.representation import FRAME_MS, Tune

STRETCH_MS = 20_000
MOST = 4


def stretches_of(
    tune: Tune, start_ms: int = 0, end_ms: int | None = None
) -> list[tuple[int, TuneQuery]]:
    """Stretches of 20 s, and when each begins: at most MOST, spread evenly, and at least one where
    there is a melody.

    Those in which no tune is to be heard are left out where there are others.
    """
    if not tune.melodic:
        return []
    length_ms = len(tune) * FRAME_MS
    start_ms = min(start_ms, length_ms)
    end_ms = length_ms if end_ms is None else min(end_ms, length_ms)
    spare = max(0, end_ms - start_ms - STRETCH_MS)
    count = min(MOST, 1 + -(-spare // STRETCH_MS))
    begins = start_ms + np.linspace(0, spare, count).astype(int)
    found = [
        (int(begin), TuneQuery.from_tune(tune, int(begin), min(int(begin) + STRETCH_MS, end_ms)))
        for begin in begins
    ]
    return [each for each in found if not why_unfit(each[1])] or found[:1]
