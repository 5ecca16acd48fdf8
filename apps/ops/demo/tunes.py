"""Twenty short tunes, each a song and a way to play it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from apps.ops.demo import instruments
from apps.ops.demo.drums import play_pattern
from apps.ops.demo.family import Family
from apps.ops.demo.melody import Note, Song
from apps.ops.demo.shaping import TUNE_RATE, Wave, place, room, times

TAIL_SECONDS = 1.2

BEATS = (
    ("K.....k.K.k.....", "....S.......S..s", "h.h.h.h.h.h.h.h."),
    ("K...K...K...K...", "....S.......S...", "..H...H...H...Hh"),
)

Instrument = Callable[[Generator, float, float], Wave]
Style = Callable[[Song, Generator], Wave]


@dataclass(frozen=True)
class Tune:
    """A song played in a style, in a room that rings for `room_seconds`."""

    title: str
    style: Style
    song: Song
    room_seconds: float = 1.0

    def render(self, rng: Generator) -> Wave:
        return room(self.style(self.song, rng), rng, self.room_seconds, 0.15, TUNE_RATE)


def perform(rng: Generator, song: Song, instrument: Instrument, notes: Iterable[Note]) -> Wave:
    """Play notes on an instrument, with a little unevenness of touch."""
    canvas = np.zeros_like(times(song.seconds + TAIL_SECONDS, TUNE_RATE))
    for note in notes:
        wave = instrument(rng, note.hz, note.beats * song.beat_seconds)
        at = note.start * song.beat_seconds + rng.uniform(0.004, 0.012)
        place(canvas, wave, at, rng.uniform(0.8, 1.0), TUNE_RATE)
    return canvas


def held_chords(song: Song, octave: int = 0) -> list[Note]:
    """Every bar's triad, held for the bar."""
    return [
        Note(bar * song.beats_per_bar, song.beats_per_bar, song.key(degree) + 12 * octave)
        for bar in range(len(song.progression))
        for degree in song.chord(bar)
    ]


def broken_chords(song: Song, order: tuple[int, ...], beats: float, octave: int = 0) -> list[Note]:
    """Every bar's triad one note after another; `order` counts up the chord, 3 is the octave."""
    notes = []
    for bar in range(len(song.progression)):
        root, third, fifth = song.chord(bar)
        ladder = (root, third, fifth, root + 7, third + 7, fifth + 7)
        for number in range(int(song.beats_per_bar / beats)):
            degree = ladder[order[number % len(order)]]
            start = bar * song.beats_per_bar + number * beats
            notes.append(Note(start, beats, song.key(degree) + 12 * octave))
    return notes


def guitar(song: Song, rng: Generator) -> Wave:
    """A melody over broken chords, all on plucked strings."""
    chords = broken_chords(song, (0, 2, 3, 2), 0.5, -1)
    tune = perform(rng, song, instruments.string, song.melody(rng))
    return tune + 0.6 * perform(rng, song, instruments.string, chords)


def church_organ(song: Song, rng: Generator) -> Wave:
    """A melody on the organ over held chords."""
    tune = perform(rng, song, instruments.organ, song.melody(rng))
    return tune + 0.5 * perform(rng, song, instruments.organ, held_chords(song, -1))


def comb(song: Song, rng: Generator) -> Wave:
    """A music box: a high melody and a sparse accompaniment."""
    chords = broken_chords(song, (0, 2), 1.0, -1)
    tune = perform(rng, song, instruments.music_box, song.melody(rng))
    return tune + 0.5 * perform(rng, song, instruments.music_box, chords)


def solo_flute(song: Song, rng: Generator) -> Wave:
    """A flute alone."""
    return perform(rng, song, instruments.flute, song.melody(rng))


def arpeggio(song: Song, rng: Generator) -> Wave:
    """A sequencer running up and down the chords in sixteenths over a synthesiser bass."""
    order = ((0, 1, 2, 3, 4, 3, 2, 1), (0, 2, 3, 4), (0, 3, 1, 4, 2, 5))[rng.integers(3)]
    run = perform(rng, song, instruments.synth, broken_chords(song, order, 0.25))
    return run + 0.8 * perform(rng, song, instruments.synth, broken_chords(song, (0,), 1.0, -2))


def choir_pad(song: Song, rng: Generator) -> Wave:
    """A choir on long chords."""
    return perform(rng, song, instruments.choir, held_chords(song))


def bass_and_drums(song: Song, rng: Generator) -> Wave:
    """A bass riff over a beat."""
    riff = ((0, 0, 3, 0, 2, 3), (0, 2, 3, 2), (0, 0, 0, 2, 3, 2, 0, 2))[rng.integers(3)]
    line = perform(rng, song, instruments.bass, broken_chords(song, riff, 0.5, -1))
    beat = BEATS[rng.integers(len(BEATS))]
    drums = play_pattern(rng, beat, song.beat_seconds / 4, song.seconds, TUNE_RATE)
    line[: len(drums)] += 0.8 * drums
    return line


def _songs(
    style: Style, room_seconds: float, songs: tuple[tuple[str, Song], ...]
) -> tuple[Tune, ...]:
    return tuple(Tune(title, style, song, room_seconds) for title, song in songs)


PLUCKED_STRINGS = Family(
    "Plucked strings",
    ("guitar", "strings", "acoustic"),
    "A tune on plucked strings, melody over broken chords.",
    -3.0,
    _songs(
        guitar,
        0.8,
        (
            ("Orchard Path", Song(60, "major", (0, 5, 3, 4, 0, 5, 4, 0), 112)),
            ("Letters from the Coast", Song(57, "minor", (0, 3, 6, 2, 5, 3, 4, 0), 120)),
            ("Lamplighter's Waltz", Song(62, "dorian", (0, 3, 0, 4, 0, 3, 4, 0), 126, 3)),
        ),
    ),
)

ORGAN = Family(
    "Organ",
    ("organ", "keyboard"),
    "A tune on the organ over held chords.",
    -4.0,
    _songs(
        church_organ,
        2.2,
        (
            ("Morning in the Nave", Song(60, "major", (0, 3, 4, 0, 5, 1, 4, 0), 108)),
            ("Small Procession", Song(65, "mixolydian", (0, 6, 3, 0, 6, 3, 4, 0), 116)),
            ("Evening Hymn", Song(62, "minor", (0, 5, 3, 0, 3, 4, 0), 104, 3)),
        ),
    ),
)

MUSIC_BOX = Family(
    "Music box",
    ("music box", "lullaby"),
    "A tune on a music box.",
    -6.0,
    _songs(
        comb,
        0.7,
        (
            ("Nursery Window", Song(79, "major", (0, 4, 5, 3, 0, 3, 4, 0), 132, 3)),
            ("The Paper Ballerina", Song(76, "minor", (0, 5, 2, 6, 0, 3, 4, 0), 138, 3)),
            ("Snow Globe", Song(81, "major", (0, 5, 1, 4, 0, 3, 4, 0), 126)),
        ),
    ),
)

FLUTE = Family(
    "Flute",
    ("flute", "wind instrument", "solo"),
    "A flute playing alone.",
    -4.0,
    _songs(
        solo_flute,
        1.8,
        (
            ("Shepherd's Noon", Song(74, "dorian", (0, 3, 6, 0, 3, 4, 6, 0), 120)),
            ("Across the Ford", Song(72, "major", (0, 4, 3, 0, 5, 1, 4, 0), 132)),
            ("Grey Heron", Song(69, "minor", (0, 5, 3, 4, 0, 6, 0), 108, 3)),
        ),
    ),
)

SYNTH_ARPEGGIO = Family(
    "Synth arpeggio",
    ("synthesizer", "electronic", "arpeggio"),
    "A sequencer running up and down the chords over a synthesiser bass.",
    -3.0,
    _songs(
        arpeggio,
        0.8,
        (
            ("Night Train to Nowhere", Song(60, "minor", (0, 5, 2, 6, 0, 5, 3, 4), 128)),
            ("Neon Harbour", Song(64, "dorian", (0, 3, 6, 3, 0, 3, 6, 0), 116)),
            ("Satellite Garden", Song(62, "major", (0, 4, 5, 3, 0, 4, 3, 0), 136)),
        ),
    ),
)

CHOIR = Family(
    "Choir",
    ("choir", "voices", "ambient"),
    "A choir on long, slow chords.",
    -5.0,
    _songs(
        choir_pad,
        2.8,
        (
            ("Cathedral of Pines", Song(60, "major", (0, 5, 3, 4, 0), 88)),
            ("Polar Light", Song(57, "minor", (0, 5, 2, 6, 0), 80)),
            ("Slow River", Song(62, "mixolydian", (0, 6, 3, 0), 76)),
        ),
    ),
)

BASS_AND_DRUMS = Family(
    "Bass and drums",
    ("bass", "drums", "groove"),
    "A bass riff over a steady beat.",
    -3.0,
    _songs(
        bass_and_drums,
        0.4,
        (
            ("Basement Groove", Song(45, "dorian", (0, 0, 3, 0, 4, 3, 0, 0), 112)),
            ("Corner Shop Funk", Song(43, "mixolydian", (0, 6, 3, 0, 0, 6, 3, 0), 124)),
        ),
    ),
)
