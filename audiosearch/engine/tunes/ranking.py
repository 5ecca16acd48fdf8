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

LOWEST_MIDDLE = 51
"""The middle of a query is brought to this key and TRIED_KEYS - 1 above it, where melodies of
recordings have theirs."""
TRIED_KEYS = 36
TUNINGS = 0.0, -1 / STEPS, 1 / STEPS
"""Semitones by which a query is moved: who hums is in no tuning for long."""
RETUNED_KEYS = 3
"""Keys, the best ones, that are tried in the other tunings."""
PHASES = 2
FITTING_ANY = 0.35
"""Share of a track's mean cost over all keys that is no merit: it fits whatever is asked."""
LIKELIEST_SHARE, FEWEST_LIKELIEST = 0.08, 50
"""Tracks that are matched in full after the first pass."""
SAMPLED = 60
"""Tracks that are matched in full wherever the first pass has them, to know the field by."""
Shares = tuple[int, int, int]
TOGETHER: Shares = (256, 256, 77)
"""256ths of the costs by folded salience, unfolded salience and contour."""
FOLDED, UNFOLDED, CONTOUR = (256, 0, 0), (0, 256, 0), (0, 0, 256)
Item = TypeVar("Item")
Result = TypeVar("Result")


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

    @property
    def frames(self) -> int:
        """Of the query."""
        return self.classes.shape[2] * self.classes.shape[3]

    def only(self, tunings: slice, phases: slice, keys: slice = slice(None)) -> "Compared":
        """Some of the tunings, phases and keys, from the lowest on."""
        classes, rows = (
            np.ascontiguousarray(one[tunings, keys, phases]) for one in (self.classes, self.rows)
        )
        return Compared(classes, rows, self.lowest)

    def costs(
        self, tunes: Sequence[PackedTune], shares: Shares = TOGETHER, threads: int = 1
    ) -> FloatArray:
        """(tracks, tunings, keys) of the best paths, per frame, 0..1 by each way; in other tunings
        than the first of RETUNED_KEYS. Infinite where there is none."""
        from audiosearch.engine.tunes.alignment_kernels import BARRED, sums_of_keys

        rows = self.rows if shares[1] else np.zeros_like(self.rows)

        def summed(tune: PackedTune) -> NDArray[np.int64]:
            return sums_of_keys(tune.table, self.classes, rows, shares, RETUNED_KEYS)

        tunings, keys, phases, frames = self.classes.shape
        sums = np.array(mapped(summed, tunes, threads), np.int64).reshape(-1, tunings, keys)
        costs = (sums / np.float32(FULL * phases * frames)).astype(np.float32)
        costs[sums >= BARRED * phases] = np.inf
        return costs


class Fits(NamedTuple):
    """How well tracks fit, (tracks,) each; scores: the higher the better, -inf of those too short;
    tunings, keys: the best ones, as places in those that were tried."""

    scores: FloatArray
    tunings: NDArray[np.int64]
    keys: NDArray[np.int64]

    @classmethod
    def of(cls, costs: FloatArray) -> "Fits":
        """By what the best key costs, less what any key costs; costs: as `Compared.costs` gives."""
        flat = costs.reshape(len(costs), -1)
        best = flat.argmin(axis=1)
        lowest = np.take_along_axis(flat, best[:, None], axis=1)[:, 0]
        long_enough = np.isfinite(lowest)
        scores = np.full(len(costs), -np.inf, np.float32)
        means = costs[long_enough, 0].mean(axis=1)
        scores[long_enough] = FITTING_ANY * means - lowest[long_enough]
        return cls(scores, *np.divmod(best, costs.shape[2]))


@dataclass(frozen=True)
class Ranking:
    """Tracks that were matched in full.

    tracks: (n,) their places, ascending; fits: of these; weights: (n,) how many tracks each stands
    for, when the field is asked for: none where it is shorter than the query, as what a part of it
    fits tells nothing of what would fit by chance.
    """

    tracks: NDArray[np.int64]
    fits: Fits
    weights: FloatArray


def rank_tracks(compared: Compared, tunes: Sequence[PackedTune], top: int, threads: int) -> Ranking:
    """The tracks that fit best, at least `top` where there are as many, and a sample of others."""
    likely = likeliest(compared, tunes, top, threads)
    long_enough = np.array([len(tune) >= compared.frames for tune in tunes], bool)
    places = np.flatnonzero(long_enough)
    chosen = likely.copy()
    if len(places):
        chosen[places[np.linspace(0, len(places) - 1, SAMPLED).astype(int)]] = True
    tracks = np.flatnonzero(chosen)
    fits = Fits.of(compared.costs([tunes[track] for track in tracks.tolist()], threads=threads))
    sampled = (chosen & ~likely).sum()
    stand_for = (long_enough & ~likely).sum() / max(1, sampled)
    weights = np.where(likely[tracks], 1, stand_for) * long_enough[tracks]
    return Ranking(tracks, fits, weights.astype(np.float32))


def likeliest(
    compared: Compared, tunes: Sequence[PackedTune], top: int, threads: int
) -> NDArray[np.bool_]:
    """(tracks,) which of them the first pass has among the best; all where they are few."""
    most = max(round(LIKELIEST_SHARE * len(tunes)), FEWEST_LIKELIEST, top)
    if len(tunes) <= most:
        return np.ones(len(tunes), bool)
    first = compared.only(slice(1), slice(1))
    scores = Fits.of(first.costs(tunes, threads=threads)).scores
    likely = np.zeros(len(tunes), bool)
    likely[np.argsort(-scores, kind="stable")[:most]] = True
    return likely


def mapped(function: Callable[[Item], Result], items: Sequence[Item], threads: int) -> list[Result]:
    """Of each item, in order, by so many threads at most."""
    if threads <= 1:
        return [function(item) for item in items]
    size = -(-len(items) // (4 * threads)) or 1
    parts = [items[begin : begin + size] for begin in range(0, len(items), size)]
    with ThreadPoolExecutor(threads) as pool:
        done = pool.map(lambda part: [function(item) for item in part], parts)
        return [result for part in done for result in part]
