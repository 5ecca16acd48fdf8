"""Rain, sea waves and drops; songbirds, crickets and dogs."""

import numpy as np
from numpy.random import Generator

from apps.ops.demo.shaping import (
    RATE,
    Range,
    Times,
    Wave,
    bump,
    decay,
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


def rain(
    rng: Generator, seconds: float, drops_hz: float, surface_hz: float, wash: float, wash_hz: Range
) -> Wave:
    """A wash of noise under many short drops; `surface_hz` is what the drops make resound."""
    t = times(seconds)
    hits = (rng.random(len(t)) < drops_hz / RATE) * rng.exponential(1.0, len(t))
    drops = silence(seconds)
    for stretch, share in ((0.7, 0.5), (1.0, 1.0), (1.6, 0.6)):
        drops += share * resonate(hits * (rng.random(len(t)) < 0.5), surface_hz * stretch, 3.0)
    drops /= np.std(drops)
    steady = noise_band(rng, len(t), *wash_hz) * (0.75 + 0.25 * wander(rng, t, 1.5))
    # Few drops are much louder than the rest: without this they would set the level alone.
    return np.tanh((drops + wash * steady) / 4)


def sea_waves(
    rng: Generator, seconds: float, breaks_at: Times, depth_hz: float, foam_hz: float, foam: float
) -> Wave:
    """Swells that gather slowly, break with bright foam and draw back."""
    t = times(seconds)
    body = noise_band(rng, len(t), 60, depth_hz) * (0.7 + 0.3 * wander(rng, t, 3))
    spray = noise_band(rng, len(t), foam_hz, 4 * foam_hz)
    swell, crest = np.full_like(t, 0.12), np.full_like(t, 0.03)
    for moment in breaks_at:
        late = t - moment
        height = rng.uniform(0.75, 1.0)
        swell += height * np.exp(np.where(late < 0, late / 0.6, -late / 0.9))
        crest += height * np.exp(np.where(late < 0, late / 0.18, -late / 0.7))
    return body * swell + foam * spray * crest


def water_drops(
    rng: Generator, seconds: float, drops_hz: float, pitch_hz: Range, ring: float, room_s: float
) -> Wave:
    """Bubbles that ring as drops fall in: sines rising in pitch (Minnaert), in a room."""
    canvas = silence(seconds)
    t = times(ring * 1.2)
    at = 0.05
    while at < seconds - 0.25:
        hz = np.exp(rng.uniform(*np.log(pitch_hz)))
        rise = hz * (1 + rng.uniform(0.25, 0.6) * (t / ring) ** 1.5)
        tone = sine(rise, t) * decay(t, ring) * bump(t, 0.002, 0.02)
        splash = noise_band(rng, len(t), 2500, 9000) * decay(t, 0.02)
        place(canvas, tone + 0.06 * splash, at, rng.uniform(0.5, 1.0))
        at += rng.uniform(0.55, 1.45) / drops_hz
    return room(canvas, rng, room_s, 0.25)


def birdsong(
    rng: Generator,
    seconds: float,
    hz: float,
    syllable_seconds: float,
    syllables: int,
    sweep: float,
    trill_hz: float = 0.0,
    spread: float = 0.25,
) -> Wave:
    """Phrases of whistled syllables; `sweep` bends each one (in octaves), `trill_hz` shakes it."""
    canvas = silence(seconds)
    phrase = hz * 2 ** rng.uniform(-spread, spread, syllables)
    at = 0.08
    while at < seconds - syllable_seconds - 0.1:
        for note in phrase:
            t = times(syllable_seconds * rng.uniform(0.85, 1.1))
            bend = sweep * rng.uniform(0.7, 1.1) * np.sin(np.pi * (t / t[-1] - 0.3))
            pitch = note * 2 ** (bend + 0.12 * np.sin(2 * np.pi * trill_hz * t))
            whistle = (sine(pitch, t) + 0.12 * sine(2 * pitch, t)) * bump(t, 0.012, 0.03)
            place(canvas, whistle, at, rng.uniform(0.7, 1.0))
            at += syllable_seconds * rng.uniform(1.15, 1.45)
        at += rng.uniform(0.25, 0.5)
    return room(canvas, rng, 0.6, 0.15)


def crickets(
    rng: Generator,
    seconds: float,
    hz: float,
    chirps_hz: float,
    pulses: int,
    pulse_hz: float,
    insects: int = 1,
) -> Wave:
    """Insects that rub out pulses of one high tone, several pulses to the chirp."""
    t = times(seconds)
    night = 0.02 * noise_band(rng, len(t), 3000, 9000)
    for number in range(insects):
        own_hz, pace = hz * rng.uniform(0.93, 1.07), chirps_hz * rng.uniform(0.9, 1.1)
        chirp = (t * pace + rng.random() * (number > 0)) % 1.0
        pulse = chirp / pace * pulse_hz
        loud = np.sin(np.pi * (pulse % 1.0)) ** 2 * (pulse < pulses)
        loud *= 0.6 + 0.4 * pulse / pulses
        night += loud * sine(own_hz * (1 + 0.004 * wander(rng, t, 8)), t) / (1 + 0.7 * number)
    return night


def dog_barks(
    rng: Generator,
    seconds: float,
    hz: float,
    throat_hz: Range,
    bark_seconds: float,
    barks_hz: float,
    rasp: float,
) -> Wave:
    """Barks: a rough voice that jumps up and falls, through the throat's resonances."""
    canvas = silence(seconds)
    at = 0.05
    while at < seconds - bark_seconds - 0.1:
        t = times(bark_seconds * rng.uniform(0.9, 1.1))
        rough = 1 + 0.06 * rng.standard_normal(len(t)).cumsum() / np.sqrt(len(t))
        jump = 0.75 + 0.5 * np.sin(np.pi * (t / t[-1]) ** 0.6)
        pitch = hz * rng.uniform(0.94, 1.06) * jump * rough
        voice = play_table(wavetable(1 / np.arange(1, 25) ** 0.7), pitch, t)
        voice += rasp * 0.3 * noise_band(rng, len(t), 400, 6000)
        low, high = (resonate(voice, each, 4.0) for each in throat_hz)
        bark = (0.15 * voice + low + 0.7 * high) * bump(t, 0.015, 0.6 * bark_seconds)
        place(canvas, bark, at, rng.uniform(0.75, 1.0))
        at += rng.uniform(0.8, 1.3) / barks_hz
    return room(canvas, rng, 0.4, 0.15)
