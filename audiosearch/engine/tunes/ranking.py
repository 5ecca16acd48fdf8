"""How well each track fits a query, in any key and tuning: a first pass over all, then the best.

A pass compares every other frame of the query with all frames of a track, so that one frame of the
query may take one to four of the track. The first pass takes the even frames only, in the
query's own tuning; the likeliest tracks are then matched by the even and by the odd frames, which
find their paths on their own, and in the tunings beside.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from audiosearch.engine.arrays import FloatArray
from audiosearch.engine.tunes.packing import FIRST_UNFOLDED, FULL, PackedTune
from audiosearch.engine.tunes.query import TuneQuery
from audiosearch.engine.tunes.representation import CLASSES
from audiosearch.engine.tunes.salience import KEYS, LOWEST_KEY, STEPS

LOWEST_MIDDLE = 57
"""The middle of a query is brought to this key and those of two octaves above it: where melodies
of recordings have theirs."""
TRIED_KEYS = 26
TUNINGS = 0.0, -1 / STEPS, 1 / STEPS
"""Semitones by which a query is moved: who hums is in no tuning for long."""
RETUNED_KEYS = 4
"""Keys, the best ones, that are tried in the other tunings."""
PHASES = 2
FITTING_ANY = 0.35
"""Share of a track's mean cost over all keys that is no merit: it fits whatever is asked."""
LIKELIEST_SHARE, FEWEST_LIKELIEST = 0.15, 100
"""Tracks that are matched in full after the first pass."""
SAMPLED = 60
"""Tracks that are matched in full wherever the first pass has them, to know the field by."""
Shares = tuple[int, int, int]
TOGETHER: Shares = (256, 256, 77)
"""256ths of the costs by folded salience, unfolded salience and contour."""
FOLDED, UNFOLDED, CONTOUR = (256, 0, 0), (0, 256, 0), (0, 0, 256)
Item, Result = TypeVar("Item"), TypeVar("Result")


@dataclass(frozen=True)
class Compared:
    """What of a query is compared: rows of a `PackedTune`'s table.

    classes, rows: (tunings, keys, phases, frames) int64, as `sums_of_keys` takes them; lowest:
    semitones from the query up to its first key.
    """

    classes: NDArray[np.int64]
    rows: NDArray[np.int64]
    lowest: int

    @classmethod
    def of(cls, query: TuneQuery) -> "Compared":
        """In all tunings, keys and phases; query: of at least two frames."""
        keys = query.keys[: len(query.keys) // PHASES * PHASES] - query.tuning
        lowest = LOWEST_MIDDLE - round(float(np.median(query.keys - query.tuning)))
        tuned = np.array(TUNINGS, np.float32)[:, None] + keys
        tuned = tuned.reshape(len(TUNINGS), 1, -1, PHASES).swapaxes(2, 3)
        lifts = lowest + np.arange(TRIED_KEYS)[:, None, None]
        classes = np.round(tuned * STEPS).astype(np.int64) + lifts * STEPS
        rows = np.round(tuned).astype(np.int64) + lifts - LOWEST_KEY
        reached = (rows >= 0) & (rows < KEYS)
        return cls(classes % CLASSES, np.where(reached, rows + FIRST_UNFOLDED, 0), lowest)

    def only(self, tunings: slice, phases: slice) -> "Compared":
        """Some of the tunings and phases."""
        chosen = (one[tunings, :, phases] for one in (self.classes, self.rows))
        return Compared(*map(np.ascontiguousarray, chosen), self.lowest)

    def costs(self, tune: PackedTune, shares: Shares = TOGETHER) -> FloatArray:
        """(tunings, keys) of the best paths, per frame, 0..1 by each way; in other tunings than the
        first those of RETUNED_KEYS. UNREACHED and more where there is none."""
        from audiosearch.engine.tunes.alignment_kernels import BARRED, sums_of_keys

        sums = sums_of_keys(tune.table, self.classes, self.rows, shares, RETUNED_KEYS)
        compared = self.classes.shape[2] * self.classes.shape[3]
        costs = sums / np.float32(FULL * compared)
        costs[sums >= BARRED * self.classes.shape[2]] = np.inf
        return costs.astype(np.float32)


class Fit(NamedTuple):
    """How well a track fits; score: the higher the better, -inf where it is too short."""

    score: float
    tuning: int
    key: int


@dataclass(frozen=True)
class Ranking:
    """Tracks that were matched in full.

    tracks: their places, ascending; fits: one each; weights: how many tracks each stands for, when
    the field is asked for.
    """

    tracks: list[int]
    fits: list[Fit]
    weights: FloatArray

    @property
    def scores(self) -> FloatArray:
        """(tracks,) one each."""
        return np.array([fit.score for fit in self.fits], np.float32)


def fit_of(costs: FloatArray) -> Fit:
    """By what the best key costs, less what any key costs; costs: as `Compared.costs` gives."""
    tuning, key = np.unravel_index(int(costs.argmin()), costs.shape)
    if not np.isfinite(costs[0].min()):
        return Fit(-np.inf, 0, 0)
    score = FITTING_ANY * costs[0].mean() - costs[tuning, key]
    return Fit(float(score), int(tuning), int(key))


def rank_tracks(compared: Compared, tunes: Sequence[PackedTune], top: int, threads: int) -> Ranking:
    """The tracks that fit best, at least `top` where there are as many, and a sample of others."""
    tracks, likely = likeliest(compared, tunes, top, threads)
    fits = mapped(lambda track: fit_of(compared.costs(tunes[track])), tracks, threads)
    others = len(tracks) - int(likely.sum())
    rest = (len(tunes) - int(likely.sum())) / max(1, others)
    return Ranking(tracks, fits, np.where(likely, 1, rest).astype(np.float32))


def likeliest(
    compared: Compared, tunes: Sequence[PackedTune], top: int, threads: int
) -> tuple[list[int], NDArray[np.bool_]]:
    """Which tracks to match in full, and which of them as they are likely: the others are a sample
    of those that are not."""
    most = max(round(LIKELIEST_SHARE * len(tunes)), FEWEST_LIKELIEST, top)
    if len(tunes) <= most:
        return list(range(len(tunes))), np.ones(len(tunes), bool)
    first = compared.only(slice(1), slice(1))
    fits = mapped(lambda tune: fit_of(first.costs(tune)).score, tunes, threads)
    order = np.argsort(-np.array(fits), kind="stable")
    likely = np.zeros(len(tunes), bool)
    likely[order[:most]] = True
    chosen = likely.copy()
    chosen[np.linspace(0, len(tunes) - 1, SAMPLED).astype(int)] = True
    tracks = np.flatnonzero(chosen)
    return tracks.tolist(), likely[tracks]


def mapped(function: Callable[[Item], Result], items: Sequence[Item], threads: int) -> list[Result]:
    """Of each item, in order, by so many threads at most."""
    if threads <= 1:
        return [function(item) for item in items]
    size = -(-len(items) // (4 * threads)) or 1
    parts = [items[begin : begin + size] for begin in range(0, len(items), size)]
    with ThreadPoolExecutor(threads) as pool:
        done = pool.map(lambda part: [function(item) for item in part], parts)
        return [result for part in done for result in part]
