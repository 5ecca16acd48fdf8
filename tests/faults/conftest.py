"""Sounds of which no two are alike, not even in two tests that share a service."""

from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from tests.audio_files import noise, tone, write_audio

LOWEST_HZ, STEP, NOTES = 150.0, 1.03, 150
_numbers = count()
MakeSounds = Callable[..., list[Path]]


@pytest.fixture
def make_sounds(tmp_path_factory: pytest.TempPathFactory) -> MakeSounds:
    """Write so many files of so many seconds into a new folder, which outlives the test.

    The next test looks whether the service that both share still has them.
    """

    def make(count: int, seconds: float = 2, suffix: str = ".flac") -> list[Path]:
        folder = tmp_path_factory.mktemp("sounds")
        return [_sound(folder, next(_numbers), seconds, suffix) for _ in range(count)]

    return make


def _sound(folder: Path, number: int, seconds: float, suffix: str) -> Path:
    hz = LOWEST_HZ * STEP ** (number % NOTES)
    samples = tone(seconds, hz) + noise(seconds, seed=number, level=0.01)
    return write_audio(folder / f"{number}{suffix}", samples)


@pytest.fixture
def make_long(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """Write a file that takes a worker long enough to be caught at it."""

    def make() -> Path:
        number = next(_numbers)
        return write_audio(
            tmp_path_factory.mktemp("long") / f"{number}.wav", noise(LONG_S, seed=number)
        )

    return make


LONG_S = 240
