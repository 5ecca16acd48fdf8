"""Made songs that are in no catalogue: what a query scores against them, it scores by chance.

They keep a small catalogue's cohort as large as a larger one's. `strangers.npz` holds landmarks
of songs that `benchmarks/recognition.py --strangers` renders.
"""

from functools import lru_cache
from pathlib import Path

import numpy as np

from audiosearch.engine.analyzers.landmarks.representation import Landmarks
from audiosearch.engine.indexes.filters import TrackFilter
from audiosearch.engine.indexes.landmarks_base import Candidates, LandmarkEntry, LandmarkQuery
from audiosearch.engine.indexes.landmarks_exact import ExactLandmarkIndex
from audiosearch.engine.indexes.payloads import TrackPayload

KEPT = Path(__file__).with_name("strangers.npz")
SPACE = "strangers"


def stranger_candidates(query: LandmarkQuery, top: int) -> Candidates:
    """Places in made songs that have most in common with the query."""
    return made_songs().candidates(SPACE, query, top, TrackFilter())


def keep_strangers(strangers: list[Landmarks]) -> None:
    """Replace the made songs by these."""
    np.savez_compressed(
        KEPT,
        lengths=np.array([int(one.length[0]) for one in strangers], np.int32),
        counts=np.array([len(one.frames) for one in strangers], np.int32),
        steps=np.concatenate([np.diff(one.frames, prepend=0) for one in strangers]).astype(
            np.uint8
        ),
        bins=np.concatenate([one.bins for one in strangers]),
        ranks=np.concatenate([one.ranks for one in strangers]),
    )


@lru_cache(maxsize=1)
def made_songs() -> ExactLandmarkIndex:
    """An index that holds them, in the space SPACE."""
    index = ExactLandmarkIndex()
    index.create_space(SPACE, TrackPayload.layout)
    with np.load(KEPT) as kept:
        ends = np.cumsum(kept["counts"])[:-1]
        parts = (np.split(kept[name], ends) for name in ("steps", "bins", "ranks"))
        for number, (steps, bins, ranks) in enumerate(zip(*parts, strict=True)):
            frames = np.cumsum(steps, dtype=np.int32)
            landmarks = Landmarks(frames, bins, ranks, kept["lengths"][number : number + 1])
            index.upsert(SPACE, [LandmarkEntry(TrackPayload(track_id=number + 1), landmarks)])
    return index
