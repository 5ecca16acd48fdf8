"""Melodies that everybody knows and nobody owns, for `benchmarks.tunes`; written from memory.

As in ABC notation: C is middle C, c an octave above it, a comma an octave lower; ^ and _ sharpen
and flatten; lengths are in beats, and z is a rest. All were sung or printed before 1900.
"""

import re
from fractions import Fraction

from apps.ops.demo.melody import SCALES, Note, Song
from benchmarks.tunes_made import MadeTune

TOKEN = re.compile(r"([\^_]?)([A-Ga-gz])(,?)(\d*(?:/2)?)")
SEMITONES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
CHORDS = (0, 3, 4, 5)
"""Degrees of the chords that accompany them."""

KNOWN: dict[str, tuple[str, int, str]] = {
    "Ah! vous dirai-je, maman": (
        "major",
        4,
        "CCGG AAG2 FFEE DDC2 GGFF EED2 GGFF EED2 CCGG AAG2 FFEE DDC2",
    ),
    "Ode to Joy": (
        "major",
        4,
        "EEFG GFED CCDE E3/2D/2D2 EEFG GFED CCDE D3/2C/2C2 DDEC DE/2F/2EC DE/2F/2ED CDG,2 "
        "EEFG GFED CCDE D3/2C/2C2",
    ),
    "Frère Jacques": (
        "major",
        4,
        "CDEC CDEC EFG2 EFG2 G/2A/2G/2F/2EC G/2A/2G/2F/2EC CG,C2 CG,C2",
    ),
    "When the Saints Go Marching In": (
        "major",
        4,
        "zCEF G4 zCEF G4 zCEF G2E2 C2E2 D4 zEED C3C E2GG F4 zzEF G2E2 C2D2 C4",
    ),
    "Oh! Susanna": (
        "major",
        4,
        "zzzC/2D/2 EGG3/2A/2GE C3/2D/2EEDC D3C/2D/2 EGG3/2A/2GE C3/2D/2EEDD C4 "
        "F2F2 AA2A GGEC D3C/2D/2 EGG3/2A/2GE C3/2D/2EEDD C4",
    ),
    "Silent Night": (
        "major",
        3,
        "G3/2A/2G E3 G3/2A/2G E3 d2d B3 c2c G3 A2A c3/2B/2A G3/2A/2G E3 A2A c3/2B/2A G3/2A/2G E3 "
        "d2d f3/2d/2B c3 e3 c3/2G/2E G3/2F/2D C3",
    ),
    "Greensleeves": (
        "minor",
        3,
        "zzA c2d e3/2^f/2e d2B G3/2A/2B c2A A3/2^G/2A B2^G E2A c2d e3/2^f/2e d2B G3/2A/2B "
        "c3/2B/2A ^G3/2^F/2^G A3 A3 g3 g3/2^f/2e d2B G3/2A/2B c2A A3/2^G/2A B2^G E3 "
        "g3 g3/2^f/2e d2B G3/2A/2B c3/2B/2A ^G3/2^F/2^G A3",
    ),
    "Jingle Bells": (
        "major",
        4,
        "EEE2 EEE2 EGC3/2D/2 E4 FFF3/2F/2 FEEE/2E/2 EDDE D2G2 EEE2 EEE2 EGC3/2D/2 E4 "
        "FFF3/2F/2 FEEE/2E/2 GGFD C4",
    ),
    "London Bridge": (
        "major",
        4,
        "G3/2A/2GF EFG2 DEF2 EFG2 G3/2A/2GF EFG2 D2G2 EC3",
    ),
    "Amazing Grace": (
        "major",
        3,
        "zzG, C2E/2C/2 E2D C2A, G,2G, C2E/2C/2 E2D G3 G2E G2E/2C/2 E2D C2A, G,2G, C2E/2C/2 E2D C3",
    ),
    "Auld Lang Syne": (
        "major",
        4,
        "zzzG, C3/2C/2CE D3/2C/2DE C3/2C/2EG A3A G3/2E/2EC D3/2C/2DE C3/2A,/2A,G, C3A "
        "G3/2E/2EC D3/2C/2DA G3/2E/2EG A3A G3/2E/2EC D3/2C/2DE C3/2A,/2A,G, C4",
    ),
    "Brahms' Lullaby": (
        "major",
        3,
        "zzE/2E/2 G2E/2E/2 G2E/2G/2 cBA AGD/2E/2 FDD/2E/2 F2D/2F/2 B/2A/2GB c2C/2C/2 "
        "c2A/2F/2 G2E/2C/2 FGA G2C/2C/2 c2A/2F/2 G2E/2C/2 FED C3",
    ),
}


def known_tunes() -> list[MadeTune]:
    """All of them, with chords that suit each bar, at tempi and in keys of their own."""
    return [
        _tune(notation, scale, beats, number)
        for number, (scale, beats, notation) in enumerate(KNOWN.values())
    ]


def notes_of(notation: str) -> list[Note]:
    """The notes, C as MIDI number 60."""
    notes, at = [], Fraction()
    for accidental, letter, lower, length in TOKEN.findall(notation):
        beats = Fraction(1, 2) if length == "/2" else Fraction(length or 1)
        if letter != "z":
            key = 60 + SEMITONES[letter.upper()] + 12 * letter.islower() - 12 * bool(lower)
            key += {"^": 1, "_": -1, "": 0}[accidental]
            notes.append(Note(float(at), float(beats), key))
        at += beats
    return notes


def _tune(notation: str, scale: str, beats: int, number: int) -> MadeTune:
    lift = number % 7 - 3
    notes = [Note(note.start, note.beats, note.key + lift) for note in notes_of(notation)]
    tonic = (69 if scale == "minor" else 60) + lift
    bars = round(notes[-1].start + notes[-1].beats) // beats
    tempo = 84.0 + 7 * (number % 6)
    plain = Song(tonic, scale, "0" * bars, tempo, beats)
    chords = "".join(_chord(plain, notes, bar) for bar in range(bars))
    return MadeTune(Song(tonic, scale, chords, tempo, beats), notes)


def _chord(song: Song, notes: list[Note], bar: int) -> str:
    """The degree of the chord that most of a bar's melody is of."""
    begin, end = bar * song.beats_per_bar, (bar + 1) * song.beats_per_bar

    def fits(degree: int) -> float:
        tones = {SCALES[song.scale][(degree + third) % 7] for third in (0, 2, 4)}
        own = [note for note in notes if begin <= note.start < end]
        return sum(note.beats for note in own if (note.key - song.tonic) % 12 in tones)

    return str(max(CHORDS, key=fits))
