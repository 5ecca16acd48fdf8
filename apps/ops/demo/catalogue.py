"""The demo catalogue: every family's members, rendered one at a time."""

from collections.abc import Iterator
from dataclasses import dataclass
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from apps.ops.demo import creatures, machines, struck, tunes, water
from apps.ops.demo.drums import DRUMS
from apps.ops.demo.family import Family
from apps.ops.demo.shaping import SOUND_RATE, TUNE_RATE, finish

SEED = 2024

SOUND_FAMILIES: tuple[Family, ...] = (
    water.RAIN,
    water.SEA_WAVES,
    water.WATER_DROPS,
    creatures.BIRDSONG,
    creatures.CRICKETS,
    creatures.DOG_BARKS,
    struck.BELLS,
    struck.CLOCKS,
    struck.TELEPHONES,
    DRUMS,
    machines.ENGINES,
    machines.SIRENS,
    machines.GAME_SOUNDS,
)

TUNE_FAMILIES: tuple[Family, ...] = (
    tunes.PLUCKED_STRINGS,
    tunes.ORGAN,
    tunes.MUSIC_BOX,
    tunes.FLUTE,
    tunes.SYNTH_ARPEGGIO,
    tunes.CHOIR,
    tunes.BASS_AND_DRUMS,
)


@dataclass(frozen=True)
class DemoSound:
    """One recording of the demo catalogue.

    kind is "sound" or "music"; samples: (n,) float32 mono in -1..1 at `sample_rate` Hz.
    """

    title: str
    family: str
    kind: str
    tags: tuple[str, ...]
    description: str
    samples: NDArray[np.float32]
    sample_rate: int


def demo_sounds() -> Iterator[DemoSound]:
    """Every sound, then every tune, each rendered when it is asked for; always the same ones."""
    for family in SOUND_FAMILIES:
        yield from _render(family, kind="sound", fade_seconds=0.25, sample_rate=SOUND_RATE)
    for family in TUNE_FAMILIES:
        yield from _render(family, kind="music", fade_seconds=0.4, sample_rate=TUNE_RATE)


def _render(
    family: Family, *, kind: str, fade_seconds: float, sample_rate: int
) -> Iterator[DemoSound]:
    for member in family.members:
        # Seeded by title, so that adding or moving a sound leaves every other one as it was.
        rng = np.random.default_rng([SEED, crc32(member.title.encode())])
        peak_db = family.peak_db - rng.uniform(0.0, 2.0)
        yield DemoSound(
            title=member.title,
            family=family.name,
            kind=kind,
            tags=family.tags,
            description=family.about,
            samples=finish(member.render(rng), peak_db, fade_seconds, sample_rate),
            sample_rate=sample_rate,
        )
