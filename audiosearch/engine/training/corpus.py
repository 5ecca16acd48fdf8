"""The speech to train on, cut out of the recordings once and kept as 16-bit samples."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audiosearch.engine.arrays import FloatArray
from audiosearch.engine.audio.sandbox import decode
from audiosearch.engine.errors import AudioError
from audiosearch.engine.voice.speech import RATE, find_speech

FULL_SCALE = 32_767
LONGEST_S = 300


@dataclass(frozen=True)
class Utterance:
    """What somebody speaks in one recording: a .npy file of (samples,) int16 at 16 kHz."""

    speaker: str
    path: Path
    samples: int

    def read(self, start: int, count: int) -> FloatArray:
        """(count,) float32; repeated when there is not as much."""
        found = np.load(self.path, mmap_mode="r")[start : start + count]
        return np.resize(found.astype(np.float32) / FULL_SCALE, count)


def cut_speech(
    recordings: list[tuple[Path, str]], folder: Path, progress: Callable[[int], None]
) -> tuple[list[Utterance], list[str]]:
    """Utterances of (path, speaker) recordings, and why others were left out.

    Only their first five minutes are taken. What is in `folder` already is not cut again, unless
    the recording has changed. progress: called with how many are done.
    """
    folder.mkdir(parents=True, exist_ok=True)
    utterances, left_out = [], []
    for number, (path, speaker) in enumerate(recordings, 1):
        try:
            kept = folder / f"{_key(path)}.npy"
            if not kept.exists():
                _cut(path, kept)
            samples = np.load(kept, mmap_mode="r").shape[0]
            utterances.append(Utterance(speaker, kept, samples))
        except (AudioError, OSError) as error:
            left_out.append(f"{path.name}: {error}")
        progress(number)
    return utterances, left_out


def _key(path: Path) -> str:
    found = path.stat()
    told = f"{path.resolve()} {found.st_size} {found.st_mtime_ns}"
    return hashlib.sha256(told.encode()).hexdigest()[:24]


def _cut(path: Path, kept: Path) -> None:
    speech = find_speech(decode(path, RATE, end_ms=LONGEST_S * 1000)).samples
    draft = kept.with_suffix(".part")
    with draft.open("wb") as file:
        np.save(file, np.round(np.clip(speech, -1, 1) * FULL_SCALE).astype(np.int16))
    draft.replace(kept)
