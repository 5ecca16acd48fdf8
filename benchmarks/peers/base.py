"""What every other recogniser is asked, and what it answers."""

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import soundfile

from audiosearch.engine.analyzers.landmarks.spectrum import SAMPLE_RATE
from audiosearch.engine.arrays import FloatArray


class PeerFailed(Exception):
    """The message is the end of what it said."""


@dataclass(frozen=True)
class Found:
    """The likeliest track, 0 for none, what it scores, and the moment where the excerpt begins."""

    item_id: int = 0
    score: float = 0
    begin_ms: int = 0


class Peer(Protocol):
    """A recogniser in a checkout of its own."""

    @property
    def checkout(self) -> Path: ...

    @property
    def title(self) -> str:
        """Its name, and the settings that are not its defaults."""

    def recognise(
        self, catalogue: Sequence[FloatArray], excerpts: Sequence[FloatArray], folder: Path
    ) -> Iterator[Found]:
        """Index tracks, numbered from 1, and find each excerpt; all mono at SAMPLE_RATE.

        Its files are put into `folder`, which is there and empty. Raises PeerFailed.
        """


def write_wavs(folder: Path, sounds: Sequence[FloatArray]) -> list[Path]:
    """Files of 16 bits, named 1.wav, 2.wav …, in a folder that is made."""
    folder.mkdir()
    paths = [folder / f"{number}.wav" for number in range(1, len(sounds) + 1)]
    for path, samples in zip(paths, sounds, strict=True):
        soundfile.write(path, samples, SAMPLE_RATE, subtype="PCM_16")
    return paths


def told_by(
    *command: str | Path, folder: Path, environment: Mapping[str, str] | None = None
) -> str:
    """What a program prints, run in a folder; raises PeerFailed."""
    ran = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if ran.returncode:
        raise PeerFailed(ran.stderr[-2000:])
    return ran.stdout
