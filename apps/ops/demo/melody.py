"""Original melodies: bars of a rhythm and a contour over a chord progression, from a seed."""

from dataclasses import dataclass

from numpy.random import Generator

SCALES = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
}

RHYTHMS = {
    3: ((1, 1, 1), (2, 1), (1.5, 0.5, 1), (1, 0.5, 0.5, 1)),
    4: ((1, 1, 1, 1), (1, 0.5, 0.5, 1, 1), (1.5, 0.5, 1, 1), (2, 1, 1), (0.5, 0.5, 1, 0.5, 0.5, 1)),
}

FORM = "abacaba"
"""Which bars share a rhythm and a contour; after them, the last bar comes home."""


@dataclass(frozen=True)
class Note:
    """When (in beats from the start), how long (in beats), and which key (MIDI number)."""

    start: float
    beats: float
    key: int

    @property
    def hz(self) -> float:
        return float(440.0 * 2 ** ((self.key - 69) / 12))


@dataclass(frozen=True)
class Song:
    """What a tune is made of before anybody plays it.

    tonic is a MIDI number; progression holds one scale degree per bar, "0" for the tonic chord.
    """

    tonic: int
    scale: str
    progression: str
    beats_per_minute: float
    beats_per_bar: int = 4

    @property
    def beat_seconds(self) -> float:
        return 60.0 / self.beats_per_minute

    @property
    def seconds(self) -> float:
        return len(self.progression) * self.beats_per_bar * self.beat_seconds

    def key(self, degree: int) -> int:
        """The MIDI number of a degree of the scale; degrees may be negative or above the octave."""
        octave, step = divmod(degree, 7)
        return self.tonic + 12 * octave + SCALES[self.scale][step]

    def chord(self, bar: int) -> tuple[int, int, int]:
        """The degrees of a bar's triad, kept close around the tonic."""
        root = int(self.progression[bar])
        root = root - 7 if root > 4 else root
        return root, root + 2, root + 4

    def held_chords(self, octave: int = 0) -> list[Note]:
        """Every bar's triad, held for the bar."""
        return [
            Note(bar * self.beats_per_bar, self.beats_per_bar, self.key(degree) + 12 * octave)
            for bar in range(len(self.progression))
            for degree in self.chord(bar)
        ]

    def broken_chords(self, order: tuple[int, ...], beats: float, octave: int = 0) -> list[Note]:
        """Every bar's triad one note after another; `order` counts up the chord, 3 its octave."""
        notes = []
        for bar in range(len(self.progression)):
            for number in range(int(self.beats_per_bar / beats)):
                rung = order[number % len(order)]
                degree = self.chord(bar)[rung % 3] + 7 * (rung // 3)
                start = bar * self.beats_per_bar + number * beats
                notes.append(Note(start, beats, self.key(degree) + 12 * octave))
        return notes

    def melody(self, rng: Generator) -> list[Note]:
        """A tune over the progression: chord notes where a bar begins, steps in between."""
        patterns = {part: self._pattern(rng) for part in "abc"}
        notes = []
        for bar in range(len(self.progression) - 1):
            at = float(bar * self.beats_per_bar)
            for beats, offset in patterns[FORM[bar % len(FORM)]]:
                notes.append(Note(at, beats, self.key(self.chord(bar)[0] + offset)))
                at += beats
        last = (len(self.progression) - 1) * self.beats_per_bar
        return [*notes, Note(last, self.beats_per_bar, self.key(0))]

    def _pattern(self, rng: Generator) -> list[tuple[float, int]]:
        """One bar as (beats, degrees above the chord's root)."""
        choices = RHYTHMS[self.beats_per_bar]
        rhythm = choices[rng.integers(len(choices))]
        offset = int(rng.choice((0, 2, 4, 7)))
        pattern = []
        for beats in rhythm:
            pattern.append((float(beats), offset))
            offset += int(rng.choice((-2, -1, -1, 1, 1, 2)))
            offset = min(max(offset, -1), 8)
        return pattern
