"""Songbirds, crickets and dogs."""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from scipy import signal

from apps.ops.demo.family import Family
from apps.ops.demo.shaping import (
    SOUND_RATE,
    Wave,
    bump,
    noise_band,
    place,
    play_table,
    room,
    sine,
    times,
    wander,
    wavetable,
)


@dataclass(frozen=True)
class Birdsong:
    """Phrases of whistled syllables; `sweep` bends each one (in octaves), `trill_hz` shakes it."""

    title: str
    seconds: float
    hz: float
    syllable_seconds: float
    syllables: int
    sweep: float
    trill_hz: float = 0.0
    spread: float = 0.25

    def render(self, rng: Generator) -> Wave:
        canvas = np.zeros_like(times(self.seconds))
        phrase = self.hz * 2 ** rng.uniform(-self.spread, self.spread, self.syllables)
        at = 0.08
        while at < self.seconds - self.syllable_seconds - 0.1:
            for hz in phrase:
                place(canvas, self._syllable(rng, hz), at, rng.uniform(0.7, 1.0))
                at += self.syllable_seconds * rng.uniform(1.15, 1.45)
            at += rng.uniform(0.25, 0.5)
        return room(canvas, rng, 0.6, 0.15)

    def _syllable(self, rng: Generator, hz: float) -> Wave:
        t = times(self.syllable_seconds * rng.uniform(0.85, 1.1))
        along = t / t[-1]
        bend = self.sweep * rng.uniform(0.7, 1.1) * np.sin(np.pi * (along - 0.3))
        shake = 0.12 * np.sin(2 * np.pi * self.trill_hz * t) if self.trill_hz else 0.0
        pitch = hz * 2 ** (bend + shake)
        return (sine(pitch, t) + 0.12 * sine(2 * pitch, t)) * bump(t, 0.012, 0.03)


BIRDSONG = Family(
    "Birdsong",
    ("bird", "birdsong", "animal", "nature"),
    "A bird singing: short whistled syllables in repeated phrases.",
    -5.0,
    (
        Birdsong("Warbler at dawn", 4.5, 3800, 0.09, 6, 0.5),
        Birdsong("Blackbird on the roof", 5.0, 2600, 0.2, 4, 0.35),
        Birdsong("Canary trill", 4.0, 3600, 0.4, 2, 0.2, trill_hz=26),
        Birdsong("Sparrow chirps", 3.0, 3300, 0.08, 2, -0.45),
        Birdsong("Robin in the garden", 4.5, 3400, 0.15, 5, -0.4, trill_hz=18),
        Birdsong("Great tit calling", 3.5, 3900, 0.14, 2, 0.15, spread=0.35),
        Birdsong("Nightingale", 5.5, 2900, 0.13, 7, 0.4, trill_hz=22),
    ),
)


@dataclass(frozen=True)
class Crickets:
    """Insects that rub out pulses of one high tone, several pulses to the chirp."""

    title: str
    seconds: float
    hz: float
    chirps_per_second: float
    pulses: int
    pulse_hz: float
    insects: int = 1

    def render(self, rng: Generator) -> Wave:
        t = times(self.seconds)
        night = 0.02 * noise_band(rng, len(t), 3000, 9000)
        for number in range(self.insects):
            hz = self.hz * rng.uniform(0.93, 1.07)
            pace = self.chirps_per_second * rng.uniform(0.9, 1.1)
            chirp = (t * pace + rng.random() * (number > 0)) % 1.0
            pulse = chirp / pace * self.pulse_hz
            loud = np.sin(np.pi * (pulse % 1.0)) ** 2 * (pulse < self.pulses)
            loud *= 0.6 + 0.4 * pulse / self.pulses
            night += loud * sine(hz * (1 + 0.004 * wander(rng, t, 8)), t) / (1 + 0.7 * number)
        return night


CRICKETS = Family(
    "Crickets",
    ("cricket", "insect", "animal", "nature"),
    "Crickets chirping: quick pulses of one high, pure tone.",
    -8.0,
    (
        Crickets("Lone cricket by the door", 4.0, 4600, 2.2, 3, 34),
        Crickets("Field crickets at dusk", 5.0, 4800, 2.8, 4, 32, insects=4),
        Crickets("Tree crickets", 4.5, 4200, 1.4, 14, 38, insects=2),
        Crickets("Fast cricket on a hot night", 4.0, 5200, 4.2, 3, 40),
        Crickets("Meadow full of crickets", 6.0, 5000, 3.2, 4, 36, insects=7),
        Crickets("Cricket in the cellar", 3.5, 4400, 1.8, 4, 30),
        Crickets("House cricket behind the stove", 5.0, 4700, 2.5, 2, 26, insects=2),
    ),
)


@dataclass(frozen=True)
class DogBarks:
    """Barks: a rough voice that jumps up and falls, through the throat's resonances."""

    title: str
    seconds: float
    hz: float
    throat_hz: tuple[float, float]
    bark_seconds: float
    barks_per_second: float
    rasp: float

    def render(self, rng: Generator) -> Wave:
        canvas = np.zeros_like(times(self.seconds))
        at = 0.05
        while at < self.seconds - self.bark_seconds - 0.1:
            place(canvas, self._bark(rng), at, rng.uniform(0.75, 1.0))
            at += rng.uniform(0.8, 1.3) / self.barks_per_second
        return room(canvas, rng, 0.4, 0.15)

    def _bark(self, rng: Generator) -> Wave:
        t = times(self.bark_seconds * rng.uniform(0.9, 1.1))
        along = t / t[-1]
        rough = 1 + 0.06 * rng.standard_normal(len(t)).cumsum() / np.sqrt(len(t))
        pitch = (
            self.hz * rng.uniform(0.94, 1.06) * (0.75 + 0.5 * np.sin(np.pi * along**0.6)) * rough
        )
        voice = play_table(wavetable(1 / np.arange(1, 25) ** 0.7), pitch, t)
        voice += self.rasp * 0.3 * noise_band(rng, len(t), 400, 6000)
        heard = 0.15 * voice
        for hz, share in zip(self.throat_hz, (1.0, 0.7), strict=True):
            b, a = signal.iirpeak(hz, 4.0, fs=SOUND_RATE)
            heard += share * signal.lfilter(b, a, voice)
        return heard * bump(t, 0.015, 0.6 * self.bark_seconds)


DOG_BARKS = Family(
    "Dog barks",
    ("dog", "bark", "animal"),
    "A dog barking: short rough calls that jump up in pitch and fall.",
    -3.0,
    (
        DogBarks("Small terrier yapping", 3.0, 620, (1300, 2600), 0.14, 3.2, 0.5),
        DogBarks("Large guard dog", 4.0, 260, (650, 1300), 0.3, 1.6, 0.9),
        DogBarks("Shepherd dog at the gate", 3.5, 380, (850, 1700), 0.22, 2.2, 0.7),
        DogBarks("Puppy wanting to play", 2.5, 700, (1400, 2500), 0.16, 2.6, 0.3),
        DogBarks("Two short woofs", 1.6, 330, (750, 1500), 0.24, 1.7, 0.8),
        DogBarks("Excited spaniel", 3.0, 470, (1000, 2000), 0.17, 3.6, 0.6),
        DogBarks("Hound in the yard", 4.5, 300, (700, 1400), 0.38, 1.3, 0.5),
    ),
)
