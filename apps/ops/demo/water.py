"""Rain, sea waves and drops."""

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
    room,
    sine,
    times,
    wander,
)


@dataclass(frozen=True)
class Rain:
    """A wash of noise under many short drops; `surface_hz` is what the drops make resound."""

    title: str
    seconds: float
    drops_per_second: float
    surface_hz: float
    wash: float
    wash_hz: tuple[float, float]

    def render(self, rng: Generator) -> Wave:
        t = times(self.seconds)
        hits = (rng.random(len(t)) < self.drops_per_second / SOUND_RATE) * rng.exponential(
            1.0, len(t)
        )
        drops = np.zeros_like(t)
        for stretch, share in ((0.7, 0.5), (1.0, 1.0), (1.6, 0.6)):
            chosen = hits * (rng.random(len(t)) < 0.5)
            b, a = signal.iirpeak(self.surface_hz * stretch, 3.0, fs=SOUND_RATE)
            drops += share * signal.lfilter(b, a, chosen)
        drops /= np.std(drops)
        wash = noise_band(rng, len(t), *self.wash_hz) * (0.75 + 0.25 * wander(rng, t, 1.5))
        # Few drops are much louder than the rest: without this they would set the level alone.
        return np.tanh((drops + self.wash * wash) / 4)


RAIN = Family(
    "Rain",
    ("rain", "weather", "nature"),
    "Falling rain: a steady wash with single drops in front of it.",
    -5.0,
    (
        Rain("Light drizzle on leaves", 5.0, 120, 4600, 0.3, (1800, 12000)),
        Rain("Steady rain on a tin roof", 5.5, 900, 2400, 0.4, (900, 9000)),
        Rain("Heavy downpour", 6.0, 2400, 3400, 2.4, (250, 11000)),
        Rain("Rain against the window", 4.5, 300, 3100, 0.5, (800, 7000)),
        Rain("Rain on a tent", 5.0, 500, 1500, 0.5, (500, 5000)),
        Rain("Summer shower", 4.0, 1300, 4800, 1.5, (1200, 13000)),
        Rain("Rain in a back street", 5.5, 700, 3600, 1.4, (500, 9500)),
    ),
)


@dataclass(frozen=True)
class SeaWaves:
    """Swells that gather slowly, break with bright foam and draw back."""

    title: str
    seconds: float
    breaks_at: tuple[float, ...]
    depth_hz: float
    foam_hz: float
    foam: float

    def render(self, rng: Generator) -> Wave:
        t = times(self.seconds)
        body = noise_band(rng, len(t), 60, self.depth_hz) * (0.7 + 0.3 * wander(rng, t, 3))
        foam = noise_band(rng, len(t), self.foam_hz, 4 * self.foam_hz)
        swell = np.full_like(t, 0.12)
        crest = np.full_like(t, 0.03)
        for moment in self.breaks_at:
            late = t - moment
            height = rng.uniform(0.75, 1.0)
            swell += height * np.where(late < 0, np.exp(late / 0.6), np.exp(-late / 0.9))
            crest += height * np.where(late < 0, np.exp(late / 0.18), np.exp(-late / 0.7))
        return body * swell + self.foam * foam * crest


SEA_WAVES = Family(
    "Sea waves",
    ("waves", "sea", "water", "nature"),
    "Waves on a shore: a low swell that breaks into foam and draws back.",
    -4.0,
    (
        SeaWaves("Slow swell on a sandy beach", 6.0, (2.0, 5.2), 420, 900, 0.3),
        SeaWaves("Breakers on the rocks", 6.0, (1.2, 3.4, 5.0), 800, 1300, 0.55),
        SeaWaves("Small waves on a lake shore", 5.0, (0.8, 2.0, 3.1, 4.3), 1100, 1600, 0.35),
        SeaWaves("Storm surf", 6.0, (1.0, 2.4, 4.2), 520, 1000, 1.0),
        SeaWaves("One long wave rolling in", 5.5, (2.6,), 650, 1400, 0.6),
        SeaWaves("Waves under the pier", 6.0, (1.5, 3.9), 300, 500, 0.15),
        SeaWaves("Surf from the dunes", 5.5, (1.8, 4.6), 350, 600, 0.25),
    ),
)


@dataclass(frozen=True)
class WaterDrops:
    """Bubbles that ring as drops fall in: sines rising in pitch (Minnaert), in a room."""

    title: str
    seconds: float
    drops_per_second: float
    low_hz: float
    high_hz: float
    ring: float
    room_seconds: float

    def render(self, rng: Generator) -> Wave:
        t = times(self.seconds)
        canvas = np.zeros_like(t)
        at = 0.05
        while at < self.seconds - 0.25:
            self._drop(canvas, rng, at)
            at += rng.uniform(0.55, 1.45) / self.drops_per_second
        return room(canvas, rng, self.room_seconds, 0.25)

    def _drop(self, canvas: Wave, rng: Generator, at: float) -> None:
        t = times(self.ring * 1.2)
        hz = np.exp(rng.uniform(np.log(self.low_hz), np.log(self.high_hz)))
        rise = hz * (1 + rng.uniform(0.25, 0.6) * (t / self.ring) ** 1.5)
        tone = sine(rise, t) * decay(t, self.ring) * bump(t, 0.002, 0.02)
        splash = noise_band(rng, len(t), 2500, 9000) * decay(t, 0.02)
        place(canvas, tone + 0.06 * splash, at, rng.uniform(0.5, 1.0))


WATER_DROPS = Family(
    "Water drops",
    ("drops", "dripping", "water"),
    "Drops falling into water, each a short rising ring.",
    -6.0,
    (
        WaterDrops("Dripping tap", 4.0, 1.8, 900, 1100, 0.16, 0.4),
        WaterDrops("Drops in a cave", 6.0, 1.6, 600, 1300, 0.25, 1.8),
        WaterDrops("Leaking roof into a bucket", 5.0, 3.5, 700, 1000, 0.14, 0.5),
        WaterDrops("Water clock", 5.0, 2.4, 1000, 1500, 0.12, 0.6),
        WaterDrops("Bubbling spring", 4.5, 11.0, 700, 1700, 0.1, 0.4),
        WaterDrops("Thawing icicles", 5.0, 5.0, 1000, 2000, 0.12, 0.7),
        WaterDrops("Deep well", 5.5, 1.3, 450, 800, 0.3, 1.6),
    ),
)
