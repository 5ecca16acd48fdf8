"""Measure how well hums, whistles and other renderings find the song.

    python -m benchmarks.tunes --songs 300 --each 100 [--cache FOLDER] [--json]

Everything is made here, from seeds: a dozen melodies that everybody knows and as many more of our
making as are asked for, played by the instruments of the demo catalogue with chords, bass and
drums; hums and whistles by `tunes_hummed`. They are synthetic, all
of them: figures on real songs and real hums will differ. Constants were chosen on songs that are
not asked for here. CPU is process time, of matching alone.

contour   the predominant pitch of the song alone, by dynamic time warping: the baseline
fused     … and what each pitch's salience says, with octaves folded and not
moment    of the fused method's first: where the stretch begins is right within a second
key       … and the difference in key is right within a semitone, octaves included
Intervals are Wilson's, of 95 %.
"""

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from audiosearch.engine.tunes.analysis import tune_of
from audiosearch.engine.tunes.matching import TuneHit, match_tune, score_tracks
from audiosearch.engine.tunes.packing import PackedTunes
from audiosearch.engine.tunes.query import TuneQuery, why_unfit
from audiosearch.engine.tunes.representation import Tune
from audiosearch.engine.tunes.salience import SAMPLE_RATE
from benchmarks.report import show
from benchmarks.tunes_hummed import QUIET_DB, SKILLS, hum
from benchmarks.tunes_known import known_tunes
from benchmarks.tunes_made import MadeTune, made_tune, render

FIRST_SONG = 100
"""Of seeds: those below were looked at while constants were chosen."""
OTHER_RENDERING = 100_000
KEYS, SPEEDS = (-5, 5), (0.85, 1.18)
TOLERANCE_S = 1.0


@dataclass(frozen=True)
class Condition:
    """How a song is asked for; skill: "" for another rendering of it."""

    name: str
    seconds: int
    skill: str = ""
    whistled: bool = False
    snr: float = QUIET_DB


CONDITIONS = (
    Condition("hum, good", 10, "good"),
    Condition("hum, average", 10, "average"),
    Condition("hum, average", 6, "average"),
    Condition("hum, average, noise 10 dB", 10, "average", snr=10),
    Condition("hum, poor", 10, "poor"),
    Condition("whistle, average", 10, "average", whistled=True),
    Condition("other rendering", 10),
)


@dataclass(frozen=True)
class Asked:
    """A query; begin, end: the seconds of the song that it is of; lift: semitones that it is above
    the song; seconds: of the song's time that it takes."""

    song: int
    query: TuneQuery
    begin: float
    end: float
    lift: float
    seconds: int

    @property
    def tempo(self) -> float:
        """Of the query, 1.0 as fast as the song."""
        return (self.end - self.begin) / self.seconds


@dataclass(frozen=True)
class Outcome:
    """Ranks from 0 of the right song; moment, key: whether the first hit is right, and in that."""

    contour: int
    fused: int
    moment: bool
    key: bool
    cpu_ms: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--songs", type=int, default=300)
    parser.add_argument("--each", type=int, default=100, help="queries of a condition")
    parser.add_argument("--seed", type=int, default=1, help="of hums and moments")
    parser.add_argument("--first", type=int, default=FIRST_SONG, help="seed of the first song")
    parser.add_argument("--cache", type=Path, help="where tunes are kept for next time")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    songs = catalogue(options.songs, options.first)
    tunes = PackedTunes(
        {n: tune_for(song, options.first + n, options.cache) for n, song in enumerate(songs)}
    )
    rows = []
    for number, condition in enumerate(CONDITIONS):
        rng = np.random.default_rng((options.seed, number))
        asked = queries(songs, condition, options.each, rng, options.first)
        outcomes = [measure(one, tunes, songs[one.song]) for one in asked]
        rows.append(summary(condition, outcomes))
    show("tunes", rows, as_json=options.json, songs=options.songs)


def catalogue(songs: int, first: int) -> list[MadeTune]:
    """So many songs, those that are known first."""
    known = known_tunes()[:songs]
    return [*known, *(made_tune(first + n) for n in range(len(known), songs))]


def tune_for(song: MadeTune, seed: int, cache: Path | None) -> Tune:
    """The tune of a song as it is in the catalogue, kept where `cache` says."""
    if cache is None:
        return tune_of(render(song, seed))
    cache.mkdir(exist_ok=True)
    path = cache / f"{seed}.npz"
    if not path.exists():
        arrays: dict[str, Any] = tune_of(render(song, seed)).arrays()
        np.savez(path, **arrays)
    with np.load(path) as kept:
        return Tune(**kept)


def queries(
    songs: list[MadeTune], condition: Condition, each: int, rng: np.random.Generator, first: int
) -> Iterator[Asked]:
    """`each` queries for songs chosen by chance."""
    for song in rng.integers(0, len(songs), each).tolist():
        if condition.skill:
            yield _hummed(song, songs[song], condition, rng)
        else:
            yield _rendered(song, songs[song], condition, rng, OTHER_RENDERING + first + song)


def measure(asked: Asked, tunes: PackedTunes, song: MadeTune) -> Outcome:
    """Where the right song ranks, and whether the first hit, where it is the right one, is right
    in its moment and key."""
    began = time.process_time()
    answer = match_tune(asked.query, tunes)
    cpu_ms = (time.process_time() - began) * 1000
    if why_unfit(asked.query):
        return Outcome(len(tunes), len(tunes), False, False, cpu_ms)
    scores = score_tracks(asked.query, tunes)
    ranks = [int((score > score[asked.song]).sum()) for score in (scores.contour, scores.fused)]
    hit = answer.hits[0]
    right = hit.item_id == asked.song
    return Outcome(
        contour=ranks[0],
        fused=ranks[1],
        moment=right and _in_time(hit, asked, song),
        key=right and abs(hit.key_difference - asked.lift) <= 1,
        cpu_ms=cpu_ms,
    )


def summary(condition: Condition, outcomes: list[Outcome]) -> dict[str, Any]:
    """A row of the table."""
    contour, fused = (
        np.array([getattr(one, name) for one in outcomes]) for name in ("contour", "fused")
    )
    firsts = [one for one in outcomes if one.fused == 0]
    return {
        "asked by": condition.name,
        "s": condition.seconds,
        "n": len(outcomes),
        "contour top-1": told(int((contour == 0).sum()), len(outcomes)),
        "contour top-10": told(int((contour < 10).sum()), len(outcomes)),
        "fused top-1": told(int((fused == 0).sum()), len(outcomes)),
        "fused top-10": told(int((fused < 10).sum()), len(outcomes)),
        "MRR": float((1 / (1 + fused)).mean()),
        "moment": float(np.mean([one.moment for one in firsts])) if firsts else 0.0,
        "key": float(np.mean([one.key for one in firsts])) if firsts else 0.0,
        "CPU ms": float(np.median([one.cpu_ms for one in outcomes])),
    }


def told(right: int, of: int) -> str:
    """A share with Wilson's interval of 95 % (E. B. Wilson, 1927)."""
    z = 1.96
    share, weight = right / of, z * z / of
    middle = (share + weight / 2) / (1 + weight)
    half = z * ((share * (1 - share) + weight / 4) / of) ** 0.5 / (1 + weight)
    return f"{share:.2f} ({max(0, middle - half):.2f}–{min(1, middle + half):.2f})"


def _hummed(number: int, song: MadeTune, condition: Condition, rng: np.random.Generator) -> Asked:
    made = hum(
        song.seconds,
        rng,
        SKILLS[condition.skill],
        condition.seconds,
        whistled=condition.whistled,
        snr=condition.snr,
    )
    query = TuneQuery.from_samples(made.samples, SAMPLE_RATE)
    return Asked(number, query, made.begin, made.end, made.lift, condition.seconds)


def _rendered(
    number: int, song: MadeTune, condition: Condition, rng: np.random.Generator, seed: int
) -> Asked:
    """The predominant pitch of a stretch of the song in another key, tempo and arrangement."""
    lift, speed = int(rng.integers(KEYS[0], KEYS[1] + 1)), float(rng.uniform(*SPEEDS))
    tune = tune_of(render(song, seed, lift, speed))
    begin = rng.uniform(0, song.song.seconds / speed - condition.seconds)
    end = begin + condition.seconds
    query = TuneQuery.from_tune(tune, round(begin * 1000), round(end * 1000))
    return Asked(number, query, begin * speed, end * speed, lift, condition.seconds)


def _in_time(hit: TuneHit, asked: Asked, song: MadeTune) -> bool:
    """Whether the stretch begins where the song has what was asked, or has it once more."""
    begin = asked.begin + asked.tempo * hit.query_start_ms / 1000
    off = hit.start_ms / 1000 - begin
    elsewhere = song.same_elsewhere(asked.begin, asked.end)
    return min(abs(off - later) for later in elsewhere) <= TOLERANCE_S


if __name__ == "__main__":
    main()
