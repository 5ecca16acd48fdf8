"""Bells, clocks and telephones: things that are struck or that strike."""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from apps.ops.demo.family import Family
from apps.ops.demo.shaping import (
    Wave,
    bump,
    decay,
    modes,
    noise_band,
    place,
    room,
    times,
)

# Hum, prime, tierce, quint, nominal and the partials above, as church bells are tuned.
BELL_RATIOS = np.array([0.5, 1.0, 1.2, 1.5, 2.0, 2.52, 2.67, 3.01, 4.17, 5.43])
BELL_GAINS = np.array([0.5, 0.9, 0.7, 0.35, 0.9, 0.3, 0.35, 0.3, 0.25, 0.12])


@dataclass(frozen=True)
class Bell:
    """A tuned bell struck at moments; partials die the sooner the higher they are."""

    title: str
    seconds: float
    prime_hz: float
    ring: float
    strikes: tuple[float, ...]
    hardness: float = 0.5

    def render(self, rng: Generator) -> Wave:
        canvas = np.zeros_like(times(self.seconds))
        detune = 1 + rng.uniform(-0.006, 0.006, len(BELL_RATIOS))
        hz = self.prime_hz * BELL_RATIOS * detune
        gains = BELL_GAINS * BELL_RATIOS ** (self.hardness - 0.5)
        for at in self.strikes:
            t = times(self.seconds - at)
            struck = modes(t, hz, self.ring / BELL_RATIOS**0.7, gains * rng.uniform(0.8, 1.0, 10))
            struck += 0.3 * modes(t, hz * 1.0025, self.ring / BELL_RATIOS**0.8, gains)
            click = noise_band(rng, len(t), 2 * self.prime_hz, 8 * self.prime_hz) * decay(t, 0.03)
            place(canvas, struck + 0.4 * self.hardness * click, at, rng.uniform(0.85, 1.0))
        return room(canvas, rng, 0.8, 0.08)


BELLS = Family(
    "Bells",
    ("bell", "metal", "ringing"),
    "A bell being struck: many inharmonic partials that die away slowly.",
    -3.0,
    (
        Bell("Church bell tolling", 6.0, 330, 6.0, (0.02, 2.8), 0.4),
        Bell("Small chapel bell", 5.0, 620, 4.0, (0.02, 1.1, 2.2, 3.3), 0.6),
        Bell("Ship's bell, two strokes", 4.0, 780, 3.2, (0.02, 0.42), 0.8),
        Bell("Hand bell in the hall", 3.5, 900, 2.2, (0.02, 0.35, 0.7, 1.05, 1.4), 0.7),
        Bell("Shop counter bell", 3.0, 1100, 2.0, (0.02,), 0.8),
        Bell("Town hall striking three", 6.0, 440, 4.5, (0.02, 1.6, 3.2), 0.5),
        Bell("School bell at noon", 4.5, 700, 2.6, (0.02, 0.7, 1.4, 2.1, 2.8), 0.6),
    ),
)


@dataclass(frozen=True)
class Clock:
    """An escapement: a tick and a slightly lower tock, resounding in a small case."""

    title: str
    seconds: float
    ticks_per_second: float
    case_hz: float
    case_ring: float
    tock: float

    def render(self, rng: Generator) -> Wave:
        canvas = np.zeros_like(times(self.seconds))
        ratios = np.array([1.0, 1.83, 2.71, 3.9]) * rng.uniform(0.95, 1.05, 4)
        for number in range(int((self.seconds - 0.2) * self.ticks_per_second) + 1):
            at = 0.05 + number / self.ticks_per_second + rng.normal(0, 0.001)
            pitch = self.case_hz * (self.tock if number % 2 else 1.0)
            place(canvas, self._tick(rng, pitch * ratios), at, rng.uniform(0.85, 1.0))
        return room(canvas, rng, 0.25, 0.12)

    def _tick(self, rng: Generator, hz: Wave) -> Wave:
        t = times(0.15)
        body = modes(t, hz, self.case_ring / np.arange(1, 5) ** 0.5, [0.8, 0.6, 0.5, 0.3])
        snap = noise_band(rng, len(t), 2000, 12000) * decay(t, 0.012)
        again = np.zeros_like(t)
        # The pallet lets go of one tooth, then catches the next: two snaps to the tick.
        place(again, snap, 0.018)
        return (body * bump(t, 0.0005, 0.02)) + 0.6 * snap + 0.35 * again


CLOCKS = Family(
    "Clocks",
    ("clock", "ticking", "mechanism"),
    "A clock ticking: dry clicks of the escapement at an even pace.",
    -3.5,
    (
        Clock("Kitchen clock", 5.0, 1.0, 1900, 0.03, 0.94),
        Clock("Grandfather clock", 6.0, 1.0, 900, 0.07, 0.85),
        Clock("Pocket watch", 4.0, 5.0, 3200, 0.015, 0.97),
        Clock("Wind-up alarm clock", 4.5, 4.0, 2300, 0.025, 0.9),
        Clock("Wall clock in a quiet room", 5.0, 2.0, 1500, 0.04, 0.88),
        Clock("Mantel clock", 5.0, 2.5, 1250, 0.05, 0.91),
        Clock("Stopwatch", 3.5, 5.0, 2700, 0.02, 0.95),
    ),
)


@dataclass(frozen=True)
class Telephone:
    """A hammer between two small gongs, some twenty strokes a second, in bursts."""

    title: str
    seconds: float
    gongs_hz: tuple[float, float]
    strokes_per_second: float
    bursts: tuple[tuple[float, float], ...]
    ring: float

    def render(self, rng: Generator) -> Wave:
        canvas = np.zeros_like(times(self.seconds))
        ratios = np.array([1.0, 2.18, 2.76, 4.1])
        for start, length in self.bursts:
            for number in range(int(length * self.strokes_per_second)):
                at = start + number / self.strokes_per_second + rng.normal(0, 0.0006)
                t = times(self.ring)
                hz = self.gongs_hz[number % 2] * ratios
                stroke = modes(t, hz, self.ring / ratios**0.5, [1.0, 0.55, 0.5, 0.25])
                place(canvas, stroke * bump(t, 0.0008, 0.05), at, rng.uniform(0.8, 1.0))
        return room(canvas, rng, 0.3, 0.1)


TELEPHONES = Family(
    "Telephones",
    ("telephone", "ringing", "household"),
    "A mechanical telephone ringing: a hammer between two small gongs.",
    -4.0,
    (
        Telephone("Old desk telephone", 4.0, (1180, 1420), 22, ((0.05, 1.4), (2.2, 1.3)), 0.5),
        Telephone("Telephone in the hallway", 4.5, (980, 1240), 20, ((0.05, 1.8), (2.6, 1.5)), 0.7),
        Telephone(
            "Office telephone, double ring", 3.0, (1320, 1560), 24, ((0.05, 0.5), (0.8, 0.5)), 0.4
        ),
        Telephone("Wall telephone", 3.5, (1080, 1300), 18, ((0.05, 2.4),), 0.6),
        Telephone(
            "Pay phone on the corner", 4.0, (1400, 1700), 25, ((0.05, 1.2), (2.2, 1.2)), 0.35
        ),
        Telephone(
            "Telephone next door", 4.0, (900, 1120), 19, ((0.05, 0.7), (1.0, 0.7), (2.6, 0.8)), 0.5
        ),
        Telephone("Night call", 5.0, (1240, 1480), 21, ((0.05, 2.0), (3.0, 1.4)), 0.8),
    ),
)
