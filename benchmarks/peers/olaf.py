"""Olaf by J. Six, https://github.com/JorenSix/Olaf (AGPL), as `make compile_core` builds it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr

from audiosearch.engine.analyzers.landmarks.spectrum import SAMPLE_RATE
from audiosearch.engine.arrays import FloatArray
from benchmarks.peers.base import Found, told_by

RATE = 16_000


@dataclass(frozen=True)
class Olaf:
    """Scored by the number of fingerprints that agree. Its settings are compiled in."""

    checkout: Path
    title: str = "Olaf"

    def recognise(
        self, catalogue: Sequence[FloatArray], excerpts: Sequence[FloatArray], folder: Path
    ) -> Iterator[Found]:
        (folder / ".olaf" / "db").mkdir(parents=True)
        tracks = [_write(folder / f"{number}", one) for number, one in enumerate(catalogue, 1)]
        self._run("store", tracks, folder)
        for samples in excerpts:  # a run each, as it does not say which query an answer is to
            yield _best(self._run("query", [_write(folder / "query", samples)], folder))

    def _run(self, command: str, paths: Sequence[Path], folder: Path) -> str:
        """It is told the sound of each file, and the name of what that was made from."""
        named = [text for path in paths for text in (str(path), path.name)]
        home = {"HOME": str(folder)}  # where it keeps its database
        program = self.checkout / "bin" / "olaf_core"
        return told_by(program, command, *named, folder=folder, environment=home)


def _write(path: Path, samples: FloatArray) -> Path:
    """As ffmpeg would for it: bare float32 at 16 kHz."""
    soxr.resample(samples, SAMPLE_RATE, RATE).astype(np.float32).tofile(path)
    return path


def _best(told: str) -> Found:
    """The first of the lines `count, from, to in the query, name, id, from, to in the track`."""
    count, query_s, _, name, _, track_s, _ = told.splitlines()[0].split(", ")
    return Found(int(name or 0), int(count), round((float(track_s) - float(query_s)) * 1000))
