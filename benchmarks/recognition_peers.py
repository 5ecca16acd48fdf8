"""Ask another recogniser for the very excerpts that `benchmarks.recognition` asks for.

    python -m benchmarks.recognition_peers --audfprint FOLDER [--python PYTHON] --half 1 --seed 3

FOLDER is a checkout of https://github.com/dpwe/audfprint (MIT), PYTHON an interpreter that has what
it requires. Catalogue and excerpts are written as WAV files of 11,025 Hz into a folder that is
deleted at the end. What an excerpt scores is the number of landmarks that agree. The table says
top-1 / accepted at 1 % false accepts / moment right within 0.25 s.
"""

import re
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from audiosearch.engine.analyzers.landmarks.spectrum import SAMPLE_RATE
from audiosearch.engine.arrays import FloatArray
from benchmarks.recognition import TOLERANCE_MS, Excerpt, arguments, asked_for, song_of
from benchmarks.recognition_fit import FALSE_ACCEPTS
from benchmarks.report import show

WITHOUT_FFMPEG = (
    "import sys, audio_read; audio_read.HAVE_FFMPEG = False; "
    "import audfprint; audfprint.main(['audfprint', *sys.argv[1:]])"
)
"""It reads WAV files by itself where it believes that there is no ffmpeg."""
MATCHED = re.compile(r"Matched (\S+) .* as (\S+) at +(-?[\d.]+) s with +(\d+) of")


@dataclass(frozen=True)
class Found:
    """The likeliest track, 0 for none, how many landmarks agree, and from which moment on."""

    item_id: int = 0
    score: int = 0
    begin_ms: int = 0


def main() -> None:
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument("--audfprint", type=Path, required=True, help="a checkout of it")
    parser.add_argument("--python", default=sys.executable, help="that runs it")
    parser.add_argument("--density", default="70", help="its hashes a second; its default is 20")
    options = parser.parse_args()
    catalogue, excerpts = asked_for(partial(song_of, options.cache), options)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tracks = [write(folder / f"{n}.wav", one) for n, one in enumerate(catalogue, 1)]
        asked = list(excerpts)
        queries = [write(folder / f"q{n}.wav", one.samples) for n, one in enumerate(asked)]
        before = _children_s()
        found = audfprint(options, folder, tracks, queries)
        took = _children_s() - before
    rows = table(asked, [found.get(path.name, Found()) for path in queries])
    note = f"{took:.0f} s of the processor, for {len(asked)} excerpts and the catalogue"
    show(f"audfprint, density {options.density}", rows, as_json=options.json, note=note)


def write(path: Path, samples: FloatArray) -> Path:
    soundfile.write(path, samples, SAMPLE_RATE, subtype="PCM_16")
    return path


def audfprint(
    options: Any, folder: Path, tracks: Sequence[Path], queries: Sequence[Path]
) -> dict[str, Found]:
    """What it finds, by the name of the query's file."""
    lists = {"tracks": tracks, "queries": queries}
    for name, paths in lists.items():
        (folder / name).write_text("\n".join(map(str, paths)))
    common = ["--dbase", str(folder / "base.pklz"), "--density", options.density, "--list"]
    run = [options.python, "-c", WITHOUT_FFMPEG]
    subprocess.run(
        [*run, "new", *common, str(folder / "tracks")],
        cwd=options.audfprint,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    told = subprocess.run(
        [*run, "match", *common, "--min-count", "1", "--exact-count", str(folder / "queries")],
        cwd=options.audfprint,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return {
        Path(query).name: Found(
            int(Path(track).stem), int(score), round(float(begin_s.replace("--", "-")) * 1000)
        )
        for query, track, begin_s, score in MATCHED.findall(told)
    }


def table(asked: Sequence[Excerpt], found: Sequence[Found]) -> list[dict[str, Any]]:
    """A row for each condition, a cell for each length."""
    pairs = list(zip(asked, found, strict=True))
    limit = np.quantile([one.score for of, one in pairs if not of.item_id], 1 - FALSE_ACCEPTS)
    rows = []
    for condition in dict.fromkeys(excerpt.condition.name for excerpt in asked):
        row: dict[str, Any] = {"condition": condition}
        for seconds in dict.fromkeys(excerpt.seconds for excerpt in asked):
            own = [
                (of, one)
                for of, one in pairs
                if of.item_id and (of.condition.name, of.seconds) == (condition, seconds)
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
