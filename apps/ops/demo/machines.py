"""Engines, sirens and the beeps of video games."""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from scipy import signal

from apps.ops.demo.family import Family
from apps.ops.demo.shaping import (
    SOUND_RATE,
    Wave,
    bump,
    decay,
    noise_band,
    place,
    play_table,
    room,
    times,
    wander,
    wavetable,
)


@dataclass(frozen=True)
class Engine:
    """Cylinders firing in turn through an exhaust; `speeds` are firings a second, evenly spread."""

    title: str
    seconds: float
    speeds: tuple[float, ...]
    exhaust_hz: tuple[float, float]
    rattle: float
    cylinders: int = 4

    def render(self, rng: Generator) -> Wave:
        t = times(self.seconds)
        marks = np.linspace(0, self.seconds, len(self.speeds)) if len(self.speeds) > 1 else [0.0]
        speed = np.interp(t, marks, self.speeds) * (1 + 0.03 * (wander(rng, t, 6) - 0.5))
        turn = np.cumsum(speed) / SOUND_RATE
        uneven = rng.uniform(0.6, 1.0, self.cylinders)[turn.astype(np.int64) % self.cylinders]
        since = (turn % 1.0) / speed
        blast = uneven * np.exp(-since / 0.006) * bump(t, 0.03, 0.2)
        source = blast * (1 + 0.3 * rng.standard_normal(len(t)))
        heard = 0.1 * source
        for hz, share in zip(self.exhaust_hz, (1.0, 0.6), strict=True):
            b, a = signal.iirpeak(hz, 2.0, fs=SOUND_RATE)
            heard += share * signal.lfilter(b, a, source)
        metal = noise_band(rng, len(t), 900, 4500) * (0.4 + blast)
        return heard + 0.03 * self.rattle * metal


ENGINES = Family(
    "Engines",
    ("engine", "motor", "machine"),
    "A combustion engine running: low firing pulses with exhaust and rattle.",
    -4.0,
    (
        Engine("Small car idling", 5.0, (28,), (110, 260), 0.5),
        Engine("Tractor in the field", 5.5, (14, 15, 14), (80, 210), 1.4, 2),
        Engine("Motorcycle revving", 4.5, (32, 34, 90, 40, 110, 45), (190, 420), 1.2, 2),
        Engine("Lorry pulling away", 6.0, (20, 22, 45, 30, 52), (70, 160), 0.7, 6),
        Engine("Fishing boat", 5.5, (10, 11), (130, 300), 0.3, 2),
        Engine("Car driving off", 5.0, (30, 40, 75, 55, 95), (140, 520), 0.3),
        Engine("Old generator", 5.0, (24, 25, 24), (230, 640), 2.5, 1),
    ),
)


@dataclass(frozen=True)
class Siren:
    """A horn whose pitch glides between two notes; `shape` is "wail", "two-tone" or "rise"."""

    title: str
    seconds: float
    low_hz: float
    high_hz: float
    turns_per_second: float
    shape: str
    brightness: float = 0.6

    def render(self, rng: Generator) -> Wave:
        t = times(self.seconds)
        turn = t * self.turns_per_second
        heights = {
            "wail": 0.5 - 0.5 * np.cos(2 * np.pi * turn),
            "two-tone": 0.5 + 0.5 * np.tanh(40 * np.sin(2 * np.pi * turn)),
            "rise": turn % 1.0,
        }
        pitch = self.low_hz * (self.high_hz / self.low_hz) ** heights[self.shape]
        horn = play_table(wavetable(self.brightness ** np.arange(12)), pitch, t)
        street = 0.01 * noise_band(rng, len(t), 200, 3000)
        return room(horn + street, rng, 0.5, 0.2) * (0.85 + 0.15 * wander(rng, t, 1.0))


SIRENS = Family(
    "Sirens",
    ("siren", "alarm", "signal"),
    "A siren: a bright horn gliding or jumping between two notes.",
    -3.0,
    (
        Siren("Police siren, slow wail", 6.0, 600, 1350, 0.35, "wail"),
        Siren("Police siren, yelp", 4.0, 650, 1450, 3.2, "wail"),
        Siren("Fire engine, two-tone horn", 5.0, 440, 587, 0.9, "two-tone"),
        Siren("Ambulance, high and low", 4.5, 700, 933, 1.1, "two-tone"),
        Siren("Air-raid siren", 6.0, 330, 620, 0.17, "wail", 0.7),
        Siren("Car alarm", 3.5, 800, 1500, 2.4, "rise"),
        Siren("Factory alarm", 4.0, 500, 900, 1.3, "rise", 0.7),
    ),
)


@dataclass(frozen=True)
class GameSound:
    """Square waves gliding quickly from pitch to pitch, as old game consoles made them."""

    title: str
    glides_hz: tuple[tuple[float, float], ...]
    step_seconds: float
    repeats: int = 1
    duty: float = 0.5
    fizz: float = 0.0

    def render(self, rng: Generator) -> Wave:
        steps = [step for _ in range(self.repeats) for step in self.glides_hz]
        canvas = np.zeros_like(times(len(steps) * self.step_seconds + 0.25))
        harmonic = np.arange(1, 13)
        table = wavetable(np.abs(np.sin(np.pi * harmonic * self.duty)) / harmonic)
        for number, (start_hz, stop_hz) in enumerate(steps):
            t = times(self.step_seconds * 1.02)
            pitch = start_hz * (stop_hz / start_hz) ** (t / t[-1])
            tone = play_table(table, pitch, t)
            tone += self.fizz * noise_band(rng, len(t), 800, 9000)
            loud = decay(t, 2.5 * self.step_seconds) * bump(t, 0.003, 0.01)
            place(canvas, tone * loud, 0.01 + number * self.step_seconds)
        return canvas


GAME_SOUNDS = Family(
    "Game sounds",
    ("game", "beep", "laser", "electronic"),
    "A sound from an old video game: square waves gliding quickly.",
    -6.0,
    (
        GameSound("Laser gun", ((2400, 180),), 0.28, repeats=4),
        GameSound("Coin collected", ((988, 988), (1319, 1319), (1319, 1319)), 0.13, repeats=3),
        GameSound(
            "Power-up", tuple((h, h * 1.5) for h in (330, 440, 523, 660, 880, 1047)), 0.14, 2
        ),
        GameSound("Jump and land", ((300, 900), (700, 220)), 0.24, repeats=3, duty=0.25),
        GameSound("Photon blaster", ((1700, 350),), 0.16, repeats=9, duty=0.35, fizz=0.12),
        GameSound(
            "Game over", tuple((h, h * 0.9) for h in (784, 698, 622, 523, 392)), 0.24, 1, 0.3
        ),
        GameSound("Menu blips", ((660, 660), (880, 880), (660, 700), (990, 990)), 0.12, 3, 0.25),
    ),
)
