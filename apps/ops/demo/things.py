"""Bells, clocks and telephones; drums; engines, sirens and the beeps of video games."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.random import Generator

from apps.ops.demo.shaping import (
    RATE,
    Range,
    Times,
    Wave,
    bump,
    decay,
    modes,
    noise_band,
    place,
    play_table,
    resonate,
    room,
    silence,
    sine,
    times,
    wander,
    wavetable,
)

# Hum, prime, tierce, quint, nominal and the partials above, as church bells are tuned.
BELL_RATIOS = np.array([0.5, 1.0, 1.2, 1.5, 2.0, 2.52, 2.67, 3.01, 4.17, 5.43])
BELL_GAINS = np.array([0.5, 0.9, 0.7, 0.35, 0.9, 0.3, 0.35, 0.3, 0.25, 0.12])
CLOCK_RATIOS = np.array([1.0, 1.83, 2.71, 3.9])
GONG_RATIOS = np.array([1.0, 2.18, 2.76, 4.1])


def bell(
    rng: Generator, seconds: float, prime_hz: float, ring: float, strikes: Times, hardness: float
) -> Wave:
    """A tuned bell struck at moments; partials die the sooner the higher they are."""
    canvas = silence(seconds)
    hz = prime_hz * BELL_RATIOS * (1 + rng.uniform(-0.006, 0.006, len(BELL_RATIOS)))
    gains = BELL_GAINS * BELL_RATIOS ** (hardness - 0.5)
    for at in strikes:
        t = times(seconds - at)
        struck = modes(t, hz, ring / BELL_RATIOS**0.7, gains * rng.uniform(0.8, 1.0, 10))
        struck += 0.3 * modes(t, hz * 1.0025, ring / BELL_RATIOS**0.8, gains)
        click = noise_band(rng, len(t), 2 * prime_hz, 8 * prime_hz) * decay(t, 0.03)
        place(canvas, struck + 0.4 * hardness * click, at, rng.uniform(0.85, 1.0))
    return room(canvas, rng, 0.8, 0.08)


def clock(
    rng: Generator, seconds: float, ticks_hz: float, case_hz: float, case_ring: float, tock: float
) -> Wave:
    """An escapement: a tick and a slightly lower tock, resounding in a small case."""
    canvas = silence(seconds)
    t = times(0.15)
    ratios = CLOCK_RATIOS * rng.uniform(0.95, 1.05, 4)
    for number in range(int((seconds - 0.2) * ticks_hz) + 1):
        at = 0.05 + number / ticks_hz + rng.normal(0, 0.001)
        hz = case_hz * (tock if number % 2 else 1.0) * ratios
        body = modes(t, hz, case_ring / np.arange(1, 5) ** 0.5, [0.8, 0.6, 0.5, 0.3])
        snap = noise_band(rng, len(t), 2000, 12000) * decay(t, 0.012)
        tick = body * bump(t, 0.0005, 0.02) + 0.6 * snap
        # The pallet lets go of one tooth, then catches the next: two snaps to the tick.
        place(tick, snap, 0.018, 0.35)
        place(canvas, tick, at, rng.uniform(0.85, 1.0))
    return room(canvas, rng, 0.25, 0.12)


def telephone(
    rng: Generator,
    seconds: float,
    gongs_hz: Range,
    strokes_hz: float,
    bursts: Sequence[Range],
    ring: float,
) -> Wave:
    """A hammer between two small gongs, some twenty strokes a second, in bursts."""
    canvas = silence(seconds)
    t = times(ring)
    gongs = [
        modes(t, hz * GONG_RATIOS, ring / GONG_RATIOS**0.5, [1.0, 0.55, 0.5, 0.25])
        * bump(t, 0.0008, 0.05)
        for hz in gongs_hz
    ]
    for start, length in bursts:
        for number in range(int(length * strokes_hz)):
            at = start + number / strokes_hz + rng.normal(0, 0.0006)
            place(canvas, gongs[number % 2], at, rng.uniform(0.8, 1.0))
    return room(canvas, rng, 0.3, 0.1)


def kick(rng: Generator, pitch: float) -> Wave:
    """A bass drum: a sine that falls to its note, and the beater's click."""
    t = times(0.4)
    click = 0.25 * noise_band(rng, len(t), 1500, 6000) * decay(t, 0.015)
    hz = 55 * pitch * (1 + 2.2 * np.exp(-t / 0.03))
    return sine(hz, t) * decay(t, 0.4) * bump(t, 0.001, 0.05) + click


def snare(rng: Generator, pitch: float) -> Wave:
    """A snare drum: a short head tone under the rattle of the wires."""
    t = times(0.3)
    head = sine(190 * pitch * (1 + 0.4 * np.exp(-t / 0.02)), t) * decay(t, 0.15)
    wires = noise_band(rng, len(t), 1200, 10000) * decay(t, 0.25)
    return (0.7 * head + 0.3 * wires) * bump(t, 0.001, 0.03)


def hat(rng: Generator, pitch: float) -> Wave:
    """A closed hi-hat: very short bright noise."""
    t = times(0.1)
    return 0.16 * noise_band(rng, len(t), 6500 * pitch, 14000) * decay(t, 0.08)


def tom(rng: Generator, pitch: float) -> Wave:
    """A tom-tom, or a hand drum when pitched up."""
    t = times(0.4)
    hz = 120 * pitch * (1 + 0.5 * np.exp(-t / 0.04))
    skin = 0.2 * noise_band(rng, len(t), 300, 3500) * decay(t, 0.05)
    tone = sine(hz, t) + 0.35 * sine(1.59 * hz, t) * decay(t, 0.2)
    return (0.8 * tone * decay(t, 0.45) + skin) * bump(t, 0.001, 0.05)


STROKES: Mapping[str, tuple[Callable[[Generator, float], Wave], float]] = {
    **{"k": (kick, 1.0), "s": (snare, 1.0), "h": (hat, 1.0)},
    **{"l": (tom, 0.8), "m": (tom, 1.1), "t": (tom, 1.6), "b": (tom, 2.4), "p": (tom, 3.1)},
}


def play_pattern(rng: Generator, seconds: float, step_seconds: float, *voices: str) -> Wave:
    """Play drum patterns over and over, all voices at once, for `seconds`.

    voices: strings of one letter of STROKES per step, "." for none; a capital letter is an accent.
    """
    canvas = silence(seconds)
    for voice in voices:
        for number in range(int((seconds - 0.3) / step_seconds)):
            letter = voice[number % len(voice)]
            if letter == ".":
                continue
            stroke, pitch = STROKES[letter.lower()]
            loud = (1.0 if letter.isupper() else 0.65) * rng.uniform(0.85, 1.0)
            at = number * step_seconds + rng.uniform(0.001, 0.006)
            place(canvas, stroke(rng, pitch), at, loud)
    return canvas


def drums(rng: Generator, seconds: float, step_seconds: float, *voices: str) -> Wave:
    """The same, in a room."""
    return room(play_pattern(rng, seconds, step_seconds, *voices), rng, 0.35, 0.12)


def engine(
    rng: Generator,
    seconds: float,
    speeds: Times,
    exhaust_hz: Range,
    rattle: float,
    cylinders: int = 4,
) -> Wave:
    """Cylinders firing in turn through an exhaust; `speeds` are firings a second, evenly spread."""
    t = times(seconds)
    speed = np.interp(t, np.linspace(0, seconds, len(speeds)), speeds)
    speed *= 1 + 0.03 * (wander(rng, t, 6) - 0.5)
    turn = np.cumsum(speed) / RATE
    uneven = rng.uniform(0.6, 1.0, cylinders)[turn.astype(np.int64) % cylinders]
    blast = uneven * np.exp(-(turn % 1.0) / speed / 0.006) * bump(t, 0.03, 0.2)
    source = blast * (1 + 0.3 * rng.standard_normal(len(t)))
    low, high = (resonate(source, hz, 2.0) for hz in exhaust_hz)
    metal = noise_band(rng, len(t), 900, 4500) * (0.4 + blast)
    return 0.1 * source + low + 0.6 * high + 0.03 * rattle * metal


def siren(
    rng: Generator,
    seconds: float,
    low_hz: float,
    high_hz: float,
    turns_hz: float,
    shape: str,
    brightness: float = 0.6,
) -> Wave:
    """A horn whose pitch glides between two notes; `shape` is "wail", "two-tone" or "rise"."""
    t = times(seconds)
    turn = t * turns_hz
    height = {
        "wail": 0.5 - 0.5 * np.cos(2 * np.pi * turn),
        "two-tone": 0.5 + 0.5 * np.tanh(40 * np.sin(2 * np.pi * turn)),
        "rise": turn % 1.0,
    }[shape]
    pitch = low_hz * (high_hz / low_hz) ** height
    horn = play_table(wavetable(brightness ** np.arange(12)), pitch, t)
    street = 0.01 * noise_band(rng, len(t), 200, 3000)
    return room(horn + street, rng, 0.5, 0.2) * (0.85 + 0.15 * wander(rng, t, 1.0))


def game_sound(
    rng: Generator,
    glides_hz: Sequence[Range],
    step_seconds: float,
    repeats: int,
    duty: float = 0.5,
    fizz: float = 0.0,
) -> Wave:
    """Square waves gliding quickly from pitch to pitch, as old game consoles made them."""
    steps = list(glides_hz) * repeats
    canvas = silence(len(steps) * step_seconds + 0.25)
    harmonic = np.arange(1, 13)
    table = wavetable(np.abs(np.sin(np.pi * harmonic * duty)) / harmonic)
    t = times(step_seconds * 1.02)
    loud = decay(t, 2.5 * step_seconds) * bump(t, 0.003, 0.01)
    for number, (start_hz, stop_hz) in enumerate(steps):
        tone = play_table(table, start_hz * (stop_hz / start_hz) ** (t / t[-1]), t)
        tone += fizz * noise_band(rng, len(t), 800, 9000)
        place(canvas, tone * loud, 0.01 + number * step_seconds)
    return canvas
