"""Drums: the single strokes, and the patterns played with them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

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
)

Stroke = Callable[[Generator, float, int], Wave]


def kick(rng: Generator, pitch: float, sample_rate: int) -> Wave:
    """A bass drum: a sine that falls to its note, and the beater's click."""
    t = times(0.4, sample_rate)
    hz = 55 * pitch * (1 + 2.2 * np.exp(-t / 0.03))
    click = 0.25 * noise_band(rng, len(t), 1500, 6000, sample_rate) * decay(t, 0.015)
    return sine(hz, t, sample_rate) * decay(t, 0.4) * bump(t, 0.001, 0.05) + click


def snare(rng: Generator, pitch: float, sample_rate: int) -> Wave:
    """A snare drum: a short head tone under the rattle of the wires."""
    t = times(0.3, sample_rate)
    head = sine(190 * pitch * (1 + 0.4 * np.exp(-t / 0.02)), t, sample_rate) * decay(t, 0.15)
    wires = noise_band(rng, len(t), 1200, 10000, sample_rate) * decay(t, 0.25)
    return (0.7 * head + 0.3 * wires) * bump(t, 0.001, 0.03)


def hat(rng: Generator, pitch: float, sample_rate: int) -> Wave:
    """A closed hi-hat: very short bright noise."""
    t = times(0.1, sample_rate)
    return 0.16 * noise_band(rng, len(t), 6500 * pitch, 14000, sample_rate) * decay(t, 0.08)


def tom(rng: Generator, pitch: float, sample_rate: int) -> Wave:
    """A tom-tom, or a hand drum when pitched up."""
    t = times(0.4, sample_rate)
    hz = 120 * pitch * (1 + 0.5 * np.exp(-t / 0.04))
    skin = 0.2 * noise_band(rng, len(t), 300, 3500, sample_rate) * decay(t, 0.05)
    tone = sine(hz, t, sample_rate) + 0.35 * sine(1.59 * hz, t, sample_rate) * decay(t, 0.2)
    return (0.8 * tone * decay(t, 0.45) + skin) * bump(t, 0.001, 0.05)


STROKES: Mapping[str, tuple[Stroke, float]] = {
    "k": (kick, 1.0),
    "s": (snare, 1.0),
    "h": (hat, 1.0),
    "l": (tom, 0.8),
    "m": (tom, 1.1),
    "t": (tom, 1.6),
    "b": (tom, 2.4),
    "p": (tom, 3.1),
}


def play_pattern(
    rng: Generator, voices: tuple[str, ...], step_seconds: float, seconds: float, sample_rate: int
) -> Wave:
    """Play drum patterns over and over, all voices at once, for `seconds`.

    voices: strings of one letter of STROKES per step, "." for none; a capital letter is an accent.
    """
    canvas = np.zeros_like(times(seconds, sample_rate))
    for voice in voices:
        for number in range(int((seconds - 0.3) / step_seconds)):
            letter = voice[number % len(voice)]
            if letter == ".":
                continue
            stroke, pitch = STROKES[letter.lower()]
            loud = (1.0 if letter.isupper() else 0.65) * rng.uniform(0.85, 1.0)
            at = number * step_seconds + rng.uniform(0.001, 0.006)
            place(canvas, stroke(rng, pitch, sample_rate), at, loud, sample_rate)
    return canvas


@dataclass(frozen=True)
class Drums:
    """A drum pattern in a room."""

    title: str
    seconds: float
    step_seconds: float
    voices: tuple[str, ...]

    def render(self, rng: Generator) -> Wave:
        beat = play_pattern(rng, self.voices, self.step_seconds, self.seconds, SOUND_RATE)
        return room(beat, rng, 0.35, 0.12)


DRUMS = Family(
    "Drums",
    ("drums", "percussion", "rhythm"),
    "A drummer playing a short pattern.",
    -3.0,
    (
        Drums("Rock beat", 4.5, 0.14, ("K...s.k.K.k.S...", "h.h.h.h.h.h.h.h.")),
        Drums("March on the snare drum", 4.0, 0.125, ("S.ssS.s.S.ssSsss", "K.......K.......")),
        Drums("Tom-tom fill", 3.0, 0.11, ("S.ssT.ttM.mmL.ll", "K...K...K...K...")),
        Drums("Shuffle", 5.0, 0.11, ("K..k..K.kk..", "...S.....S.s", "h.hh.hh.hh.h")),
        Drums(
            "Tribal drums", 5.5, 0.15, ("L..lm.L.t.m.L.ml", "K.......K.k.....", "..b...b...b..bb.")
        ),
        Drums(
            "Disco beat", 4.0, 0.125, ("K...K...K...K...", "....S.......S...", "..H...H...H...Hh")
        ),
        Drums("Drum kit warming up", 4.5, 0.13, ("K..Ks..t.m.lK.s.s.ss..KK", "h..h..h.....")),
    ),
)
