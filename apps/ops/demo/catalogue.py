"""The demo catalogue: every family's members, rendered one at a time."""

import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from apps.ops.demo import nature, things, tunes
from apps.ops.demo.shaping import Wave, finish
from apps.ops.demo.tunes import played

SEED = 2024
FADE_SECONDS = {"sound": 0.25, "music": 0.4}
RENDERERS: Mapping[str, Callable[..., Wave]] = {
    "Rain": nature.rain,
    "Sea waves": nature.sea_waves,
    "Water drops": nature.water_drops,
    "Birdsong": nature.birdsong,
    "Crickets": nature.crickets,
    "Dog barks": nature.dog_barks,
    "Bells": things.bell,
    "Clocks": things.clock,
    "Telephones": things.telephone,
    "Drums": things.drums,
    "Engines": things.engine,
    "Sirens": things.siren,
    "Game sounds": things.game_sound,
    "Plucked strings": played(tunes.guitar, room_seconds=0.8),
    "Organ": played(tunes.organ, room_seconds=2.2),
    "Music box": played(tunes.music_box, room_seconds=0.7),
    "Flute": played(tunes.flute, room_seconds=1.8),
    "Synth arpeggio": played(tunes.arpeggio, room_seconds=0.8),
    "Choir": played(tunes.choir, room_seconds=2.8),
    "Bass and drums": played(tunes.bass_and_drums, room_seconds=0.4),
}


@dataclass(frozen=True)
class DemoSound:
    """One recording; kind is "sound" or "music", samples: (n,) float32 mono in -1..1 at RATE."""

    title: str
    family: str
    kind: str
    tags: tuple[str, ...]
    description: str
    samples: NDArray[np.float32]


def demo_sounds() -> Iterator[DemoSound]:
    """Every sound, then every tune, each rendered when it is asked for; always the same ones."""
    kinds = tomllib.loads(Path(__file__).with_suffix(".toml").read_text())
    for kind, families in kinds.items():
        for family, shared in families.items():
            for title, parameters in shared["members"].items():
                # Seeded by title: adding or moving a sound leaves every other one as it was.
                rng = np.random.default_rng([SEED, crc32(title.encode())])
                peak_db = shared["peak_db"] - rng.uniform(0.0, 2.0)  # by nature, and by chance
                wave = RENDERERS[family](rng, *parameters)
                yield DemoSound(
                    title=title,
                    family=family,
                    kind=kind,
                    tags=tuple(shared["tags"]),
                    description=shared["about"],
                    samples=finish(wave, peak_db, FADE_SECONDS[kind]),
                )
