"""The ways in which songs are played: each turns a song into a wave."""

from collections.abc import Callable, Iterable
from typing import Any

from numpy.random import Generator

from apps.ops.demo import instruments
from apps.ops.demo.melody import Note, Song
from apps.ops.demo.shaping import Wave, place, room, silence
from apps.ops.demo.things import play_pattern

TAIL_SECONDS = 1.2
BEATS = (
    ("K.....k.K.k.....", "....S.......S..s", "h.h.h.h.h.h.h.h."),
    ("K...K...K...K...", "....S.......S...", "..H...H...H...Hh"),
)


def played(style: Callable[[Generator, Song], Wave], room_seconds: float) -> Callable[..., Wave]:
    """render(rng, *fields of a Song): the song in this style, in a room that rings so long."""

    def render(rng: Generator, *song: Any) -> Wave:
        return room(style(rng, Song(*song)), rng, room_seconds, 0.15)

    return render


def perform(
    rng: Generator, song: Song, instrument: instruments.Instrument, notes: Iterable[Note]
) -> Wave:
    """Play notes on an instrument, with a little unevenness of touch."""
    canvas = silence(song.seconds + TAIL_SECONDS)
    for note in notes:
        wave = instrument(rng, note.hz, note.beats * song.beat_seconds)
        at = note.start * song.beat_seconds + rng.uniform(0.004, 0.012)
        place(canvas, wave, at, rng.uniform(0.8, 1.0))
    return canvas


def guitar(rng: Generator, song: Song) -> Wave:
    """A melody over broken chords, all on plucked strings."""
    tune = perform(rng, song, instruments.string, song.melody(rng))
    chords = song.broken_chords((0, 2, 3, 2), 0.5, -1)
    return tune + 0.6 * perform(rng, song, instruments.string, chords)


def organ(rng: Generator, song: Song) -> Wave:
    """A melody on the organ over held chords."""
    tune = perform(rng, song, instruments.organ, song.melody(rng))
    return tune + 0.5 * perform(rng, song, instruments.organ, song.held_chords(-1))


def music_box(rng: Generator, song: Song) -> Wave:
    """A high melody and a sparse accompaniment."""
    tune = perform(rng, song, instruments.music_box, song.melody(rng))
    chords = song.broken_chords((0, 2), 1.0, -1)
    return tune + 0.5 * perform(rng, song, instruments.music_box, chords)


def flute(rng: Generator, song: Song) -> Wave:
    """A flute alone."""
    return perform(rng, song, instruments.flute, song.melody(rng))


def arpeggio(rng: Generator, song: Song) -> Wave:
    """A sequencer running up and down the chords in sixteenths over a synthesiser bass."""
    order = ((0, 1, 2, 3, 4, 3, 2, 1), (0, 2, 3, 4), (0, 3, 1, 4, 2, 5))[rng.integers(3)]
    run = perform(rng, song, instruments.synth, song.broken_chords(order, 0.25))
    return run + 0.8 * perform(rng, song, instruments.synth, song.broken_chords((0,), 1.0, -2))


def choir(rng: Generator, song: Song) -> Wave:
    """A choir on long chords."""
    return perform(rng, song, instruments.choir, song.held_chords())


def bass_and_drums(rng: Generator, song: Song) -> Wave:
    """A bass riff over a beat."""
    riff = ((0, 0, 3, 0, 2, 3), (0, 2, 3, 2), (0, 0, 0, 2, 3, 2, 0, 2))[rng.integers(3)]
    line = perform(rng, song, instruments.bass, song.broken_chords(riff, 0.5, -1))
    beat = BEATS[rng.integers(len(BEATS))]
    place(line, play_pattern(rng, song.seconds, song.beat_seconds / 4, *beat), 0, 0.8)
    return line
