"""What is trained on, cut out of the recordings once and kept as 16-bit samples at 16 kHz."""

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
NOISE_S = 10


@dataclass(frozen=True)
class Utterance:
    """What somebody speaks in one recording: a .npy file of (samples,) int16 at 16 kHz."""

    speaker: str
    path: Path
    samples: int

    def read(self, start: int, count: int) -> FloatArray:
        """(count,) float32; repeated when there is not as much."""
        return np.resize(read_samples(self.path, start, count), count)


def cut_speech(
    recordings: list[tuple[Path, str]], folder: Path, progress: Callable[[int], None]
) -> tuple[list[Utterance], list[str]]:
    """Utterances of (path, speaker) recordings, and why others were left out.

    Only their first five minutes are taken. What is in `folder` already is not cut again, unless
    the recording has changed. progress: called with how many are done.
    """
    utterances, left_out = [], []
    for number, (path, speaker) in enumerate(recordings, 1):
        try:
            kept = _kept(path, folder, _speech)
            samples = np.load(kept, mmap_mode="r").shape[0]
            utterances.append(Utterance(speaker, kept, samples))
        except (AudioError, OSError) as error:
            left_out.append(f"{path.name}: {error}")
        progress(number)
    return utterances, left_out


def cut_noises(recordings: list[Path], folder: Path) -> tuple[list[Path], list[str]]:
    """Files for `read_samples` of the first ten seconds each, and why others were left out.

    What is in `folder` already is not cut again, unless the recording has changed.
    """
    noises, left_out = [], []
    for path in recordings:
        try:
            noises.append(_kept(path, folder, _noise))
        except (AudioError, OSError) as error:
            left_out.append(f"{path.name}: {error}")
    return noises, left_out


def read_samples(path: Path, start: int = 0, count: int | None = None) -> FloatArray:
    """(count,) float32 of what was cut, from a place on; less where it ends."""
    end = None if count is None else start + count
    return np.load(path, mmap_mode="r")[start:end].astype(np.float32) / FULL_SCALE


def _kept(path: Path, folder: Path, cut: Callable[[Path], FloatArray]) -> Path:
    """The .npy file of (samples,) int16 that holds what `cut` takes from a recording."""
    found = path.stat()
    told = f"{path.resolve()} {found.st_size} {found.st_mtime_ns}"
    kept = folder / f"{hashlib.sha256(told.encode()).hexdigest()[:24]}.npy"
    if not kept.exists():
        samples = np.round(np.clip(cut(path), -1, 1) * FULL_SCALE).astype(np.int16)
        folder.mkdir(parents=True, exist_ok=True)
        draft = kept.with_suffix(".part")
        with draft.open("wb") as file:
            np.save(file, samples)
        draft.replace(kept)
    return kept


def _speech(path: Path) -> FloatArray:
    return find_speech(decode(path, RATE, end_ms=LONGEST_S * 1000)).samples


def _noise(path: Path) -> FloatArray:
    return decode(path, RATE, end_ms=NOISE_S * 1000)
