"""Measure how well hums, whistles and other renderings find the song.

    python -m benchmarks.tunes --songs 1000 --each 100 [--cache FOLDER] [--json]

Everything is made here, from seeds: some fifty melodies that everybody knows and as many more of
our making as are asked for, each in an arrangement of its own that fluidsynth plays with one of two
soundfonts; hums and whistles by `tunes_hummed`. They are synthetic, all of them: figures on real
songs and real hums will differ. Constants were chosen on songs that are not asked for here. CPU is
process time, of matching alone.

contour   the predominant pitch of the song alone, by dynamic time warping: the baseline
fused     … and what each pitch's salience says, with octaves folded and not
MAP       of fused: the mean of 1 / rank, as one song is right
moment    of the fused method's first: where the stretch begins is right within a second
key       … and the difference in key is right within a semitone, octaves included
found     the right song comes first and is a match, of a probability of 0.7 or more
wrong     another one does
What is not there, hums of songs that are in no catalogue and the sounds of --sounds, should be
no match. ESC-10 and LibriSpeech are folders of such sounds.
Intervals are Wilson's, of 95 %.
"""

import argparse
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from tqdm import tqdm

from audiosearch.engine.tunes.probability import verdict_of
from benchmarks.report import show
from benchmarks.tunes_asked import (
    ABSENT,
    CONDITIONS,
    Asked,
    Condition,
    Outcome,
    hums,
    other_renderings,
    outcome_of,
    sounds,
)
from benchmarks.tunes_catalogue import Rendering, packed, tunes_of
from benchmarks.tunes_played import LEADS, PACKAGES, why_missing

ABSENT_SONG = 200_000
TEST_FONTS = [Path(font) for font in list(PACKAGES)[:2]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--songs", type=int, default=1000)
    parser.add_argument("--each", type=int, default=100, help="queries of a condition")
    parser.add_argument("--seed", type=int, default=1, help="of hums and moments")
    parser.add_argument("--fonts", type=Path, nargs="+", default=TEST_FONTS)
    parser.add_argument("--sounds", type=Path, nargs="*", default=[], help="folders of no songs")
    parser.add_argument("--alone", type=int, default=0, help="so many play the melody alone")
    parser.add_argument("--second", action="store_true", help="analyse with a second opinion")
    parser.add_argument("--cache", type=Path, help="where analyses are kept for next time")
    parser.add_argument("--processes", type=int, default=2, help="that play, analyse and ask")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    missing = why_missing(options.fonts)
    if missing:
        parser.error(missing)
    with TemporaryDirectory() as folder:
        options.cache = options.cache or Path(folder)
        measure(options)


def measure(options: argparse.Namespace) -> None:
    """Ask for songs in all conditions, and for what is not there, and show what came of it."""
    songs = catalogue(options.songs, options.fonts, alone=options.alone)
    for _ in tunes_of(songs, options.cache, options.processes, second=options.second):
        pass  # they are kept now, for each process to read
    groups = [*CONDITIONS, *(replace(one, absent=True) for one in ABSENT), *options.sounds]
    ask = partial(outcomes_of, songs=tuple(songs), options=options)
    with ProcessPoolExecutor(options.processes, mp_context=get_context("spawn")) as pool:
        bar = tqdm(pool.map(ask, groups), total=len(groups), desc="ask", disable=None)
        found = dict(zip(groups, bar, strict=True))
    there = {one: own for one, own in found.items() if one in CONDITIONS}
    rows = [summary(condition, own) for condition, own in there.items()]
    absent = [verdicts(one, own) for one, own in found.items() if one not in there]
    leads = led_by([one for kind, own in there.items() if kind.skill for one in own], songs)
    if options.json:
        show("tunes", rows, as_json=True, songs=options.songs, absent=absent, led_by=leads)
        return
    for title, table in (("tunes", rows), ("what is not there", absent), ("what leads", leads)):
        show(title, table, as_json=False)


def outcomes_of(
    group: Condition | Path, songs: tuple[Rendering, ...], options: argparse.Namespace
) -> list[Outcome]:
    """Of the queries of a condition, or of the sounds of a folder."""
    tunes = packed(songs, options.cache, options.second)
    if isinstance(group, Path):
        return [outcome_of(one, tunes) for one in sounds([group], options.each)]
    place = (CONDITIONS, ABSENT)[group.absent].index(replace(group, absent=False))
    rng = np.random.default_rng((options.seed, place + 100 * group.absent))
    if group.absent:
        first = ABSENT_SONG + 1000 * place
        asked = hums(range(first, first + options.each), group, rng)
    else:
        asked = asked_for(songs, group, rng, options)
    return [outcome_of(one, tunes) for one in asked]


def asked_for(
    songs: Sequence[Rendering],
    condition: Condition,
    rng: np.random.Generator,
    options: argparse.Namespace,
) -> Iterator[Asked]:
    """Queries for songs that are chosen by chance of those whose melody has company, if any has."""
    wanted = sum(not song.alone for song in songs) or len(songs)
    chosen = rng.integers(0, wanted, options.each).tolist()
    if condition.skill:
        return hums(chosen, condition, rng)
    own, seconds = [songs[song] for song in chosen], condition.seconds
    return other_renderings(own, options.fonts, seconds, rng, options.cache, options.processes)


def catalogue(songs: int, fonts: Sequence[Path], *, alone: int = 0) -> list[Rendering]:
    """So many songs, those that are known first, each of one of the fonts; of the last `alone`
    nothing but the melody is played."""
    return [
        Rendering(fonts[number % len(fonts)], number, number, alone=number >= songs - alone)
        for number in range(songs)
    ]


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
        "MAP": float((1 / (1 + fused)).mean()),
        "moment": float(np.mean([one.moment for one in firsts])) if firsts else 0.0,
        "key": float(np.mean([one.key for one in firsts])) if firsts else 0.0,
        "found": float(np.mean([one.fused == 0 and is_match(one) for one in outcomes])),
        "wrong": float(np.mean([one.fused > 0 and is_match(one) for one in outcomes])),
        "CPU ms": float(np.median([one.cpu_ms for one in outcomes])),
    }


def verdicts(group: Condition | Path, outcomes: list[Outcome]) -> dict[str, Any]:
    """What is said of sounds whose song is not there."""
    name = group.name if isinstance(group, Path) else f"{group.name}, {group.seconds} s"
    said = [verdict_of(one.probability) for one in outcomes]
    return {
        "asked by": name,
        "n": len(outcomes),
        "refused": sum(one.refused for one in outcomes),
        "none": said.count("none"),
        "maybe": said.count("maybe"),
        "match": said.count("match"),
        "share of matches": told(said.count("match"), len(outcomes)),
    }


def is_match(outcome: Outcome) -> bool:
    return verdict_of(outcome.probability) == "match"


def led_by(outcomes: list[Outcome], songs: Sequence[Rendering]) -> list[dict[str, Any]]:
    """How often hums find a song by the instrument that leads in it, and by what lies above."""
    rows = []
    arrangements = [songs[one.asked.song].arranged() for one in outcomes]
    groups = [(name, [one.lead == name for one in arrangements]) for name in LEADS]
    groups.append(("melody on top", [not one.above for one in arrangements]))
    groups.append(("chords above", [one.above for one in arrangements]))
    for name, chosen in groups:
        fused = [one.fused for one, own in zip(outcomes, chosen, strict=True) if own]
        if fused:
            top_1 = told(sum(rank == 0 for rank in fused), len(fused))
            top_10 = told(sum(rank < 10 for rank in fused), len(fused))
            rows.append({"songs": name, "n": len(fused), "top-1": top_1, "top-10": top_10})
    return rows


def told(right: int, of: int) -> str:
    """A share with Wilson's interval of 95 % (E. B. Wilson, 1927)."""
    z = 1.96
    share, weight = right / of, z * z / of
    middle = (share + weight / 2) / (1 + weight)
    half = z * ((share * (1 - share) + weight / 4) / of) ** 0.5 / (1 + weight)
    return f"{share:.2f} ({max(0, middle - half):.2f}–{min(1, middle + half):.2f})"


if __name__ == "__main__":
    main()
