"""Fit how probable it is that a track has the tune that was asked for, and tell how true that is.

    python -m benchmarks.tunes_calibration --cache FOLDER [--sounds FOLDER ...] [--each 100]

Songs, arrangements, hums and the soundfont are others than `benchmarks.tunes` asks for. Half of the
hums are of songs that are there and half of songs that are not; each is matched with catalogues of
SIZES, and the first HITS of each answer are what is fitted to. Of the sounds of --sounds those are
used that `benchmarks.tunes` leaves. It prints the constants of
audiosearch/engine/tunes/probability.py, and what they are worth: told of each fifth of the queries
by a model that was fitted to the others.
"""

import argparse
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from audiosearch.engine.tunes.matching import match_tune
from audiosearch.engine.tunes.packing import PackedTunes
from audiosearch.engine.tunes.probability import MATCH, MAYBE, MEASURES, measures_of
from benchmarks.report import show
from benchmarks.tunes_asked import CONDITIONS, Asked, Condition, hums, other_renderings, sounds
from benchmarks.tunes_catalogue import Rendering, packed, tunes_of
from benchmarks.tunes_played import PACKAGES, why_missing

FONT = Path(list(PACKAGES)[2])
FIRST_SONG, ABSENT_SONG = 500_000, 600_000
SIZES = 50, 200, 1000
HITS = 5
KINDS = CONDITIONS[:6]
"""The conditions of `benchmarks.tunes` that worsen nothing."""
BELOW = MEASURES.index("below")
FOLDS = 5
Measures = NDArray[np.float64]
EDGES = 0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0
THRESHOLDS = MAYBE, MATCH, 0.9


@dataclass(frozen=True)
class Answered:
    """Of one query to one catalogue; measures: (hits, MEASURES); right: (hits,) bool; there:
    whether its song is."""

    query: int
    tracks: int
    there: bool
    measures: Measures
    right: NDArray[np.bool_]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--songs", type=int, default=SIZES[-1])
    parser.add_argument("--each", type=int, default=100, help="queries of a condition, twice")
    parser.add_argument("--seed", type=int, default=2, help="of hums and moments")
    parser.add_argument("--second", action="store_true", help="analyse with a second opinion")
    parser.add_argument("--cache", type=Path, help="where songs are kept for next time")
    parser.add_argument("--processes", type=int, default=2, help="that play, analyse and ask")
    parser.add_argument("--sounds", type=Path, nargs="*", default=[], help="folders of no songs")
    options = parser.parse_args()
    missing = why_missing([FONT])
    if missing:
        parser.error(missing)
    with TemporaryDirectory() as folder:
        options.cache = options.cache or Path(folder)
        answers = list(answered(options))
    told = held_out(answers)
    for title, rows in (("reliability", reliability(answers, told)), ("kept", kept(answers, told))):
        show(title, rows, as_json=False)
    small = [one.tracks < SIZES[-1] for one in answers]
    constant, weights = fitted([one for one, own in zip(answers, small, strict=True) if own])
    large = [one for one, own in zip(answers, small, strict=True) if not own]
    extrapolated = [_probabilities(one, constant, weights) for one in large]
    show("extrapolated to the largest", kept(large, extrapolated), as_json=False)
    constant, weights = fitted(answers)
    print(f"\nMEASURES: {MEASURES}")
    print(f"FITTED = Calibration({constant:.3f}, {tuple(weights.round(3).tolist())})")


def answered(options: argparse.Namespace) -> Iterator[Answered]:
    """All queries, each asked of catalogues of all sizes."""
    songs = [
        Rendering(FONT, FIRST_SONG + number, FIRST_SONG + number) for number in range(options.songs)
    ]
    for _ in tunes_of(songs, options.cache, options.processes, second=options.second):
        pass  # they are kept now, for each process to read
    ask = partial(answers_of, songs=tuple(songs), options=options)
    groups = [*KINDS, *options.sounds]
    with ProcessPoolExecutor(options.processes, mp_context=get_context("spawn")) as pool:
        for answers in tqdm(pool.map(ask, groups), total=len(groups), desc="ask", disable=None):
            yield from answers


def answers_of(
    group: Condition | Path, songs: tuple[Rendering, ...], options: argparse.Namespace
) -> list[Answered]:
    """Of the queries of a condition, or of the sounds of a folder."""
    tunes = packed(songs, options.cache, options.second)
    place = [*KINDS, *options.sounds].index(group)
    rng = np.random.default_rng((options.seed, place))
    return [
        answer
        for number, asked in enumerate(queries(songs, group, place, options, rng))
        for answer in _asked_of(asked, 10_000 * place + number, tunes, rng)
    ]


def queries(
    songs: Sequence[Rendering],
    group: Condition | Path,
    place: int,
    options: argparse.Namespace,
    rng: np.random.Generator,
) -> Iterator[Asked]:
    """For songs that are there and as many that are not, or sounds that are no songs."""
    each = options.each
    if isinstance(group, Path):
        yield from list(sounds([group], 10_000))[each:]
        return
    chosen = [songs[song] for song in rng.integers(0, len(songs), each).tolist()]
    first = ABSENT_SONG + 1000 * place
    chosen += [Rendering(FONT, song, song) for song in range(first, first + each)]
    if group.skill:
        yield from hums([one.song for one in chosen], group, rng)
    else:
        yield from other_renderings(chosen, [FONT], group.seconds, rng, options.cache, 1)


def _asked_of(
    asked: Asked, number: int, tunes: PackedTunes, rng: np.random.Generator
) -> Iterator[Answered]:
    """Asked of catalogues of all sizes, its own song among them where it is there; nothing where
    it is refused."""
    by_song = dict(zip(tunes.item_ids, tunes.packed, strict=True))
    for size in SIZES:
        chosen = rng.permutation(tunes.item_ids)[:size].tolist()
        if asked.song in by_song and asked.song not in chosen:
            chosen[0] = asked.song
        some = PackedTunes.holding({song: by_song[song] for song in chosen})
        hits = match_tune(asked.query, some).hits[:HITS]
        if hits:
            measures = [measures_of(hit.standing, hits[0].standing) for hit in hits]
            right = np.array([hit.item_id == asked.song for hit in hits])
            yield Answered(number, size, asked.song in by_song, np.array(measures), right)


def fitted(answers: Sequence[Answered]) -> tuple[float, Measures]:
    """The constant and the weights of the logit: all but that of BELOW by the first hits, that one
    by the hits behind them, the others given."""
    from scipy.optimize import minimize_scalar
    from sklearn.linear_model import LogisticRegression

    first = np.array([one.measures[0] for one in answers])
    model = LogisticRegression(C=100).fit(first, [one.right[0] for one in answers])
    constant, weights = float(model.intercept_[0]), model.coef_[0].copy()
    behind = np.concatenate([one.measures[1:] for one in answers])
    right = np.concatenate([one.right[1:] for one in answers])
    weights[BELOW] = 0
    logits, below = constant + behind @ weights, behind[:, BELOW]

    def loss(weight: float) -> float:
        found = logits - weight * below
        return float(np.logaddexp(0, np.where(right, -found, found)).sum())

    weights[BELOW] = -minimize_scalar(loss, bounds=(0, 20), method="bounded").x
    return constant, weights


def held_out(answers: Sequence[Answered]) -> list[Measures]:
    """The probability of each hit, by a model that was fitted without its query."""
    told: dict[int, Measures] = {}
    for fold in range(FOLDS):
        constant, weights = fitted([one for one in answers if one.query % FOLDS != fold])
        for place, one in enumerate(answers):
            if one.query % FOLDS == fold:
                told[place] = _probabilities(one, constant, weights)
    return [told[place] for place in range(len(answers))]


def reliability(answers: Sequence[Answered], told: Sequence[Measures]) -> list[dict[str, Any]]:
    """Of probabilities of first hits, and of all others, their mean and how often they are right;
    the last row has the mean difference, weighted by how many there are."""
    rows, off = [], np.zeros(2)
    groups = [
        (
            np.concatenate([one[part] for one in told]),
            np.concatenate([one.right[part] for one in answers]),
        )
        for part in (slice(1), slice(1, None))
    ]
    for low, high in pairwise(EDGES):
        row: dict[str, Any] = {"probability": f"{low:g} to {high:g}"}
        for place, (name, (probability, right)) in enumerate(
            zip(("first", "behind"), groups, strict=True)
        ):
            own = (probability >= low) & ((probability < high) | (high == EDGES[-1]))
            mean, share = (
                float(one[own].mean()) if own.any() else 0.0 for one in (probability, right)
            )
            row |= {f"{name}: n": int(own.sum()), "told " + name: mean, "right " + name: share}
            off[place] += own.sum() * abs(mean - share) / max(len(probability), 1)
        rows.append(row)
    rows.append(dict.fromkeys(rows[0], "") | {"probability": "calibration error"})
    rows[-1] |= {"right first": float(off[0]), "right behind": float(off[1])}
    return rows


def kept(answers: Sequence[Answered], told: Sequence[Measures]) -> list[dict[str, Any]]:
    """By size: of first hits that are right the share that reaches each threshold, and of queries
    for what is not there."""
    rows = []
    for size in sorted({one.tracks for one in answers}):
        own = [(one, p[0]) for one, p in zip(answers, told, strict=True) if one.tracks == size]
        right = np.array([p for one, p in own if one.right[0]])
        there = np.array([p for one, p in own if one.there])
        absent = np.array([p for one, p in own if not one.there])
        row: dict[str, Any] = {"tracks": size, "there": len(there), "right": len(right)}
        row["not there"] = len(absent)
        for limit in THRESHOLDS:
            row[f"right ≥ {limit}"] = float((right >= limit).mean()) if len(right) else 0.0
        for limit in THRESHOLDS:
            row[f"not there ≥ {limit}"] = float((absent >= limit).mean()) if len(absent) else 0.0
        rows.append(row)
    return rows


def _probabilities(one: Answered, constant: float, weights: Measures) -> Measures:
    found = 1 / (1 + np.exp(-(constant + one.measures @ weights)))
    return np.asarray(np.minimum(found, found[0]))


if __name__ == "__main__":
    main()
