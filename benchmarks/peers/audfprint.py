"""audfprint by D. Ellis, https://github.com/dpwe/audfprint (MIT)."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from audiosearch.engine.arrays import FloatArray
from benchmarks.peers.base import Found, told_by, write_wavs

WITHOUT_FFMPEG = (
    "import sys, audio_read; audio_read.HAVE_FFMPEG = False; "
    "import audfprint; audfprint.main(['audfprint', *sys.argv[1:]])"
)
"""It reads WAV files by itself where it believes that there is no ffmpeg."""
MATCHED = re.compile(r"Matched (\S+) .* as (\S+) at +(-?[\d.]+) s with +(\d+) of")


@dataclass(frozen=True)
class Audfprint:
    """Scored by the number of landmarks that agree; `density` is its hashes a second."""

    checkout: Path
    python: str
    density: str

    @property
    def title(self) -> str:
        return f"audfprint, density {self.density}"

    def recognise(
        self, catalogue: Sequence[FloatArray], excerpts: Sequence[FloatArray], folder: Path
    ) -> Iterator[Found]:
        queries = write_wavs(folder / "queries", excerpts)
        self._run("new", write_wavs(folder / "tracks", catalogue), folder)
        told = self._run("match", queries, folder, "--min-count", "1", "--exact-count")
        found = {
            query: Found(int(Path(track).stem), int(score), round(float(begin_s) * 1000))
            for query, track, begin_s, score in MATCHED.findall(told)
        }
        return (found.get(str(path), Found()) for path in queries)

    def _run(self, command: str, paths: Sequence[Path], folder: Path, *more: str) -> str:
        listed = folder / command
        listed.write_text("\n".join(map(str, paths)))
        common = ["--dbase", str(folder / "base.pklz"), "--density", self.density, *more]
        program = (self.python, "-c", WITHOUT_FFMPEG)
        return told_by(*program, command, *common, "--list", listed, folder=self.checkout)
