"""Ask other recognisers for the very excerpts that `benchmarks.recognition` asks for.

    python -m benchmarks.recognition_peers --half 1 --seed 3 [--audfprint FOLDER]
        [--olaf FOLDER] [--dejavu FOLDER] [--python PYTHON]

FOLDER is a checkout, PYTHON an interpreter that has what audfprint and dejavu require; dejavu
also takes PostgreSQL. Their files are in a folder that is deleted at the end. The table of each
says top-1 / accepted at 1 % false accepts / moment right within 0.25 s.
"""

import argparse
import resource
import sys
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.audfprint import Audfprint
from benchmarks.peers.base import Found, Peer
from benchmarks.peers.dejavu import Dejavu
from benchmarks.peers.olaf import Olaf
from benchmarks.recognition import TOLERANCE_MS, Excerpt, arguments, asked_for, song_of
from benchmarks.recognition_fit import FALSE_ACCEPTS
from benchmarks.report import show


def main() -> None:
    parser = arguments(__doc__.splitlines()[0])
    for name in ("audfprint", "olaf", "dejavu"):
        parser.add_argument(f"--{name}", type=Path, help="a checkout of it")
    parser.add_argument("--python", default=sys.executable, help="that runs audfprint and dejavu")
    parser.add_argument("--density", default="70", help="of audfprint; it comes with 20")
    parser.add_argument("--window", type=int, default=4096, help="of dejavu, in samples")
    options = parser.parse_args()
    catalogue, excerpts = asked_for(partial(song_of, options.cache), options)
    asked = list(excerpts)
    for peer in peers(options):
        before = _children_s()
        with tempfile.TemporaryDirectory() as folder:
            sounds = [one.samples for one in asked]
            found = list(peer.recognise(catalogue, sounds, Path(folder)))
        took = _children_s() - before
        note = f"{took:.0f} s of the processor, for {len(asked)} excerpts and the catalogue"
        show(peer.title, table(asked, found), as_json=options.json, note=note)


def peers(options: argparse.Namespace) -> Iterator[Peer]:
    """Those that a checkout is given of."""
    if options.audfprint:
        yield Audfprint(options.audfprint, options.python, options.density)
    if options.olaf:
        yield Olaf(options.olaf)
    if options.dejavu:
        yield Dejavu(options.dejavu, options.python, options.window)


def table(asked: Sequence[Excerpt], found: Sequence[Found]) -> list[dict[str, Any]]:
    """A row for each condition and for all, a cell for each length."""
    pairs = list(zip(asked, found, strict=True))
    limit = np.quantile([one.score for of, one in pairs if not of.item_id], 1 - FALSE_ACCEPTS)
    rows = []
    names = list(dict.fromkeys(excerpt.condition.name for excerpt in asked))
    for title, conditions in [*((name, [name]) for name in names), ("all", names)]:
        row: dict[str, Any] = {"condition": title}
        for seconds in dict.fromkeys(excerpt.seconds for excerpt in asked):
            own = [
                (of, one)
                for of, one in pairs
                if of.item_id and of.seconds == seconds and of.condition.name in conditions
            ]
            right = np.array([of.item_id == one.item_id for of, one in own])
            sure = np.array([one.score > limit for _, one in own])
            near = np.array([abs(one.begin_ms - of.begin_ms) <= TOLERANCE_MS for of, one in own])
            figures = (right.mean(), (right & sure).mean(), (right & near).mean())
            row[f"{seconds} s"] = "/".join(f"{figure:.2f}" for figure in figures)
        rows.append(row)
    return rows


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
