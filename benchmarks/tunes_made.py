"""The melodies of `benchmarks.tunes` that nobody knows: made from seeds, with chords."""

from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from apps.ops.demo.melody import SCALES, Note, Song

FORMS = ("AABA", "ABAB", "AABB", "ABAC", "ABCB", "AABC", "ABCA")
BARS = 4
"""Of a phrase."""
RHYTHMS = {
    3: ((1, 1, 1), (2, 1), (1.5, 0.5, 1), (1, 0.5, 0.5, 1), (0.5, 0.5, 0.5, 0.5, 1), (1, 2)),
    4: (
        (1, 1, 1, 1),
        (2, 1, 1),
        (1, 1, 2),
        (1.5, 0.5, 1, 1),
        (1, 0.5, 0.5, 1, 1),
        (0.5, 0.5, 1, 0.5, 0.5, 1),
        (0.5, 0.5, 0.5, 0.5, 1, 1),
        (1.5, 0.5, 1.5, 0.5),
        (1, 1.5, 0.5, 1),
    ),
}
STEPS, STEP_SHARES = (-4, -3, -2, -1, 0, 1, 2, 3, 4), (1, 2, 5, 10, 4, 10, 5, 2, 1)


@dataclass(frozen=True)
class MadeTune:
    """A song, and its melody in beats."""

    song: Song
    melody: list[Note]

    def same_elsewhere(self, begin: float, end: float) -> list[float]:
        """By how many seconds what is played from `begin` to `end` is played later, or earlier;
        0 is one of them, and what comes again with another end is the same."""
        asked = [n for n, (at, _, _) in enumerate(self.seconds) if begin <= at < end]
        keys = [note.key for note in self.melody]
        wanted = keys[asked[0] : max(asked[-1] - 1, asked[0] + 1)]
        starts = [at for at, _, _ in self.seconds]
        return [
            starts[n] - starts[asked[0]]
            for n in range(len(keys))
            if keys[n : n + len(wanted)] == wanted
        ]

    @property
    def seconds(self) -> list[tuple[float, float, float]]:
        """Of each note when it begins, how long it lasts, both in seconds, and its MIDI number."""
        beat = self.song.beat_seconds
        return [(note.start * beat, note.beats * beat, float(note.key)) for note in self.melody]


def made_tune(seed: int) -> MadeTune:
    """Four phrases of four bars in one of the usual forms, of some 25 to 50 s.

    A phrase has two rhythms and chords of its own; its melody goes in steps, with some leaps,
    holds a chord's note where a bar begins, and rests on a long one. What comes again is the same
    but sometimes for its end.
    """
    rng = np.random.default_rng((31, seed))
    form = str(rng.choice(FORMS))
    beats = int(rng.choice((3, 4, 4)))
    chords = {part: _chords(rng) for part in dict.fromkeys(form)}
    song = Song(
        tonic=int(rng.integers(55, 70)),
        scale=str(rng.choice(list(SCALES))),
        progression="".join(chords[part] for part in form),
        beats_per_minute=float(rng.uniform(75, 135)),
        beats_per_bar=beats,
    )
    phrases = {part: _phrase(rng, song, n * BARS) for n, part in _first_places(form)}
    melody: list[Note] = []
    for number, part in enumerate(form):
        shift = number * BARS * beats
        melody += [
            Note(shift + at, length, song.key(degree)) for at, length, degree in phrases[part]
        ]
    melody[-1] = Note(melody[-1].start, melody[-1].beats, song.key(0))
    return MadeTune(song, melody)


def _first_places(form: str) -> list[tuple[int, str]]:
    return [(form.index(part), part) for part in dict.fromkeys(form)]


def _chords(rng: np.random.Generator) -> str:
    """Four bars: from the tonic, or its relative, to it or to the dominant."""
    first = rng.choice(list("0005"))
    middle = rng.choice(list("01345"), 2)
    return "".join([first, *middle, rng.choice(list("0044"))])


def _phrase(rng: np.random.Generator, song: Song, first_bar: int) -> list[tuple[float, float, int]]:
    """Notes as beat, beats and degree of the scale."""
    beats = song.beats_per_bar
    rhythms = [RHYTHMS[beats][n] for n in rng.integers(0, len(RHYTHMS[beats]), 2)]
    order = ((0, 1, 0), (0, 0, 1), (0, 1, 1), (0, 0, 0))[rng.integers(4)]
    degree = int(rng.choice((0, 2, 4, 7)))
    notes: list[tuple[float, float, int]] = []
    shares = np.array(STEP_SHARES) / sum(STEP_SHARES)
    for bar, rhythm in enumerate(order):
        lengths = rhythms[rhythm]
        for at, length in zip(accumulate((0.0, *lengths[:-1])), lengths, strict=True):
            if at == 0:
                degree = _nearest_of(song.chord(first_bar + bar), degree)
            notes.append((bar * beats + at, float(length), degree))
            degree += int(rng.choice(STEPS, p=shares))
            degree = degree if -3 <= degree <= 9 else int(np.clip(degree, -2, 8))
    degree = _nearest_of(song.chord(first_bar + BARS - 1), degree)
    held = float(rng.choice((1, 2, beats - 1)))
    if held > 1:
        return [*notes, ((BARS - 1) * beats, held, degree)]
    above = _nearest_of(song.chord(first_bar + BARS - 1), degree + int(rng.choice((-2, 2))))
    return [*notes, ((BARS - 1) * beats, 1.0, above), ((BARS - 1) * beats + 1, beats - 1.5, degree)]


def _nearest_of(chord: tuple[int, int, int], degree: int) -> int:
    """The note of a chord, in any octave, that is nearest to a degree."""
    notes = [note + 7 * octave for note in chord for octave in (-1, 0, 1)]
    return min(notes, key=lambda note: (abs(note - degree), note))
