"""dejavu by W. Drevo, https://github.com/worldveil/dejavu (MIT), on PostgreSQL."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from audiosearch.engine.analyzers.landmarks.spectrum import SAMPLE_RATE
from audiosearch.engine.arrays import FloatArray
from benchmarks.peers.base import Found, told_by, write_wavs

PROGRAM = Path(__file__).with_name("dejavu_program.py")
OVERLAP = 0.5


@dataclass(frozen=True)
class Dejavu:
    """Scored by the number of hashes that agree on one moment; `window` in samples."""

    checkout: Path
    python: str
    window: int

    @property
    def title(self) -> str:
        return f"dejavu, window {self.window}"

    def recognise(
        self, catalogue: Sequence[FloatArray], excerpts: Sequence[FloatArray], folder: Path
    ) -> Iterator[Found]:
        from tests.servers import postgres_server

        tracks = write_wavs(folder / "tracks", catalogue)[0].parent
        queries = write_wavs(folder / "queries", excerpts)
        with postgres_server() as url:
            program = (self.python, "-c", PROGRAM.read_text(), url, str(self.window))
            told = told_by(*program, tracks, *queries, folder=self.checkout)
        for track, score, offset in json.loads(told.splitlines()[-1]):
            begin_s = offset * self.window * OVERLAP / SAMPLE_RATE
            yield Found(int(track), score, round(begin_s * 1000))
