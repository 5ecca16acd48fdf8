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

KNOWN: dict[str, str] = {
    "Ah! vous dirai-je, maman": (
        "major 4 CCGG AAG2 FFEE DDC2 GGFF EED2 GGFF EED2 CCGG AAG2 FFEE DDC2"
    ),
    "Ode to Joy": (
        "major 4 EEFG GFED CCDE E3/2D/2D2 EEFG GFED CCDE D3/2C/2C2 DDEC DE/2F/2EC DE/2F/2ED "
        "CDG,2 EEFG GFED CCDE D3/2C/2C2"
    ),
    "Frère Jacques": "major 4 CDEC CDEC EFG2 EFG2 G/2A/2G/2F/2EC G/2A/2G/2F/2EC CG,C2 CG,C2",
    "When the Saints Go Marching In": (
        "major 4 zCEF G4 zCEF G4 zCEF G2E2 C2E2 D4 zEED C3C E2GG F4 zzEF G2E2 C2D2 C4"
    ),
    "Oh! Susanna": (
        "major 4 zzzC/2D/2 EGG3/2A/2GE C3/2D/2EEDC D3C/2D/2 EGG3/2A/2GE C3/2D/2EEDD C4 F2F2 "
        "AA2A GGEC D3C/2D/2 EGG3/2A/2GE C3/2D/2EEDD C4"
    ),
    "Silent Night": (
        "major 3 G3/2A/2G E3 G3/2A/2G E3 d2d B3 c2c G3 A2A c3/2B/2A G3/2A/2G E3 A2A c3/2B/2A "
        "G3/2A/2G E3 d2d f3/2d/2B c3 e3 c3/2G/2E G3/2F/2D C3"
    ),
    "Greensleeves": (
        "minor 3 zzA c2d e3/2^f/2e d2B G3/2A/2B c2A A3/2^G/2A B2^G E2A c2d e3/2^f/2e d2B "
        "G3/2A/2B c3/2B/2A ^G3/2^F/2^G A3 A3 g3 g3/2^f/2e d2B G3/2A/2B c2A A3/2^G/2A B2^G E3 g3 "
        "g3/2^f/2e d2B G3/2A/2B c3/2B/2A ^G3/2^F/2^G A3"
    ),
    "Jingle Bells": (
        "major 4 EEE2 EEE2 EGC3/2D/2 E4 FFF3/2F/2 FEEE/2E/2 EDDE D2G2 EEE2 EEE2 EGC3/2D/2 E4 "
        "FFF3/2F/2 FEEE/2E/2 GGFD C4"
    ),
    "London Bridge": "major 4 G3/2A/2GF EFG2 DEF2 EFG2 G3/2A/2GF EFG2 D2G2 EC3",
    "Amazing Grace": (
        "major 3 zzG, C2E/2C/2 E2D C2A, G,2G, C2E/2C/2 E2D G3 G2E G2E/2C/2 E2D C2A, G,2G, "
        "C2E/2C/2 E2D C3"
    ),
    "Auld Lang Syne": (
        "major 4 zzzG, C3/2C/2CE D3/2C/2DE C3/2C/2EG A3A G3/2E/2EC D3/2C/2DE C3/2A,/2A,G, C3A "
        "G3/2E/2EC D3/2C/2DA G3/2E/2EG A3A G3/2E/2EC D3/2C/2DE C3/2A,/2A,G, C4"
    ),
    "Brahms' Lullaby": (
        "major 3 zzE/2E/2 G2E/2E/2 G2E/2G/2 cBA AGD/2E/2 FDD/2E/2 F2D/2F/2 B/2A/2GB c2C/2C/2 "
        "c2A/2F/2 G2E/2C/2 FGA G2C/2C/2 c2A/2F/2 G2E/2C/2 FED C3"
    ),
    "Mary Had a Little Lamb": (
        "major 4 EDCD EEE2 DDD2 EGG2 EDCD EEEE DDED C4 EDCD EEE2 DDD2 EGG2 EDCD EEEE DDED C4"
    ),
    "Row, Row, Row Your Boat": ("major 3 C3 C3 C2D E3 E2D E2F G3 G3 ccc GGG EEE CCC G2F E2D C3 C3"),
    "Yankee Doodle": (
        "major 4 CCDE CED2 CCDE C2B,2 CCDE FEDC B,G,A,B, C2C2 A,3/2B,/2A,G, A,B,C2 "
        "G,3/2A,/2G,F, E,2G,2 A,3/2B,/2A,G, A,B,CA, G,CB,D C2C2"
    ),
    "Old MacDonald": (
        "major 4 CCCG, A,A,G,2 EEDD C3G, CCCG, A,A,G,2 EEDD C3G,/2G,/2 CCCG,/2G,/2 CCC2 CCCG, "
        "A,A,G,2 EEDD C4"
    ),
    "Au clair de la lune": (
        "major 4 CCCD E2D2 CEDD C4 CCCD E2D2 CEDD C4 DDDD A,2A,2 DCB,A, G,4 CCCD E2D2 CEDD C4"
    ),
    "My Bonnie": (
        "major 3 zzG, E3/2D/2C DCA, G,3 E,2G, E3/2D/2C CB,C D3 z2G, E3/2D/2C DCA, G,3 E,2G, "
        "A,DC B,A,B, C3 z3 G,3 C3 A,3 D3 B,2B, B,A,B, C2D E3 G,3 C3 A,3 D3 B,2B, B,A,B, C3"
    ),
    "Clementine": (
        "major 3 zzC/2C/2 CG,E/2E/2 ECC/2E/2 GGF/2E/2 D2D/2E/2 FFE/2D/2 ECC/2E/2 DG,B,/2D/2 "
        "C2C/2C/2 CG,E/2E/2 ECC/2E/2 GGF/2E/2 D2D/2E/2 FFE/2D/2 ECC/2E/2 DG,B,/2D/2 C3"
    ),
    "Good King Wenceslas": (
        "major 4 CCCD CCG,2 A,G,A,B, C2C2 CCCD CCG,2 A,G,A,B, C2C2 GFED EDC2 A,G,A,B, C2C2 "
        "G,G,A,B, CCD2 GFED C2F2 C4"
    ),
    "Joy to the World": (
        "major 4 c2B3/2A/2 G3F E2D2 C3G A3A B3B c3c cBAG G3/2F/2Ec cBAG G3/2F/2EE EEEE/2F/2 "
        "G3F/2E/2 DDDD/2E/2 F3E/2D/2 Cc2A G3/2F/2EF E2D2 C4"
    ),
    "Deck the Halls": (
        "major 4 G3/2F/2ED CDEC D/2E/2F/2D/2E3/2D/2 CB,C2 G3/2F/2ED CDEC D/2E/2F/2D/2E3/2D/2 "
        "CB,C2 D3/2E/2FD E3/2F/2GD E/2^F/2GA/2B/2c BAG2 G3/2F/2ED CDEC A/2A/2A/2A/2G3/2F/2 EDC2"
    ),
    "God Rest You Merry": (
        "minor 4 zzzA Aeed cBAG ABcd e3A Aeed cBAG ABcd e3e fdef gaed cABc d2cd e2fe edcB "
        "A2c/2B/2A d2cd efga edcB A3"
    ),
    "We Wish You a Merry Christmas": (
        "major 3 zzG, CC/2D/2C/2B,/2 A,A,A, DD/2E/2D/2C/2 B,G,G, EE/2F/2E/2D/2 CA,G,/2G,/2 "
        "A,DB, C2G, CCC B,2B, CB,A, G,2D EDC GG,G,/2G,/2 A,DB, C3"
    ),
    "The First Noel": (
        "major 3 zzE/2D/2 C3/2D/2E/2F/2 G2A/2B/2 cBA G2A/2B/2 cBA GAB cGF E2E/2D/2 "
        "C3/2D/2E/2F/2 G2A/2B/2 cBA G2A/2B/2 cBA GAB cGF E2E/2D/2 C3/2D/2E/2F/2 G2c/2B/2 A2A G3 "
        "cBA GAB cGF E3"
    ),
    "Hark! The Herald Angels Sing": (
        "major 4 G,CC3/2B,/2 CEED GGG3/2F/2 EDE2 G,CC3/2B,/2 CEED GDD3/2B,/2 B,A,G,2 GGGC FEED "
        "GGGC FEED AAAG FEF2 DE/2F/2G3/2C/2 CDE2 A3/2A/2AG FEF2 DE/2F/2G3/2C/2 CDC2"
    ),
    "Scarborough Fair": (
        "dorian 3 A2A e2e B3/2c/2B A3 z2e g2a g2e e^fd e3 z2a a2a g2e e2d c2B G3 A2e d2c B2A G2A A3"
    ),
    "Drunken Sailor": (
        "dorian 4 ee/2e/2ee/2e/2 eAce dd/2d/2dd/2d/2 dGBd ee/2e/2ee/2e/2 e^fga gedB A2A2 e2e2 "
        "eAce d2d2 dGBd e2e2 e^fga gedB A2A2"
    ),
    "Londonderry Air": (
        "major 4 zB,CD E3D EAGE DCA,2 zCEF G3A GECE D4 zB,CD E3D EAGE DCA,2 zB,CD E3F EDCD C4 "
        "zGAB c3B BAGA GEC2 zGAB c3B BAGE D4 zGGG e3d dcAc GEC2 zB,CD EAGE DCA,B, C4"
    ),
    "Camptown Races": (
        "major 4 GGEG AGE2 ED3 ED3 GGEG AGE2 D2ED C4 C3/2C/2EG c4 A3/2A/2cA G4 GGEE/2E/2 "
        "G/2G/2AGE DE/2F/2ED C4"
    ),
    "Old Folks at Home": (
        "major 4 E4 DCED C2c2 Ac3 G2EC D4 E4 DCED C2c2 Ac3 G3/2E/2CD/2D/2 C4 B3/2c/2dG "
        "G3/2A/2G2 c3/2A/2FA G4 E4 DCED C2c2 Ac3 G3/2E/2CD/2D/2 C4"
    ),
    "Für Elise": (
        "minor 3 zze/2^d/2 e/2^d/2e/2B/2d/2c/2 A3/2C/2E/2A/2 B3/2E/2^G/2B/2 c3/2E/2e/2^d/2 "
        "e/2^d/2e/2B/2d/2c/2 A3/2C/2E/2A/2 B3/2E/2c/2B/2 A3/2B/2c/2d/2 e3/2G/2f/2e/2 "
        "d3/2F/2e/2d/2 c3/2E/2d/2c/2 B3/2E/2e e/2^d/2e/2B/2d/2c/2 A3/2C/2E/2A/2 B3/2E/2c/2B/2 "
        "A3"
    ),
    "Minuet in G": (
        "major 3 GC/2D/2E/2F/2 GCC AF/2G/2A/2B/2 cCC FG/2F/2E/2D/2 EF/2E/2D/2C/2 B,C/2D/2E/2C/2 "
        "D3 GC/2D/2E/2F/2 GCC AF/2G/2A/2B/2 cCC FG/2F/2E/2D/2 EF/2E/2D/2C/2 DE/2D/2C/2B,/2 C3"
    ),
    "Bridal Chorus": (
        "major 4 G,2C3/2C/2 C4 G,2D3/2B,/2 C4 G,2C3/2F/2 F2E3/2D/2 C2B,3/2C/2 D4 G,2C3/2C/2 C4 "
        "G,2D3/2B,/2 C4 G,2C3/2E/2 G2E3/2C/2 A,2D3/2E/2 C4"
    ),
    "Largo of the New World": (
        "major 4 E3/2G/2G2 E3/2D/2C2 D3/2E/2G3/2E/2 D4 E3/2G/2G2 E3/2D/2C2 D3/2E/2D3/2C/2 C4 "
        "A3/2c/2c2 B3/2G/2A2 A3/2c/2B3/2G/2 A4 A3/2c/2c2 B3/2G/2A2 A3/2c/2B3/2G/2 A4 E3/2G/2G2 "
        "E3/2D/2C2 D3/2E/2D3/2C/2 C4"
    ),
    "Battle Hymn of the Republic": (
        "major 4 G3/2G/2G3/2F/2 E3/2G/2c3/2d/2 e3/2e/2e3/2d/2 c2B2 A3/2A/2A3/2B/2 "
        "c3/2B/2c3/2A/2 G3/2A/2G3/2E/2 G4 G3/2G/2G3/2F/2 E3/2G/2c3/2d/2 e3/2e/2e3/2d/2 c2c2 "
        "d2d2 c2B2 c4 G3F E3/2G/2c3/2d/2 e4 c4 A3B c3/2B/2c3/2A/2 G4 E4 G3F E3/2G/2c3/2d/2 e4 "
        "c4 d2d2 c2B2 c4"
    ),
    "God Save the King": (
        "major 3 CCD B,3/2C/2D EEF E3/2D/2C DCB, C3 GGG G3/2F/2E FFF F3/2E/2D EF/2E/2D/2C/2 "
        "E3/2F/2G A/2F/2ED C3"
    ),
    "The Blue Danube": (
        "major 3 zzC CEG Gzg gze ezC CEG Gzg gzf fzD DFA Aza azf fzD DFA Aza azg gzC CEG C3"
    ),
    "Galop infernal": (
        "major 4 C4 DFED G2G2 GAEF D2D2 DFED CcBA GFED C4 DFED G2G2 GAEF D2D2 DFED CGDE C4"
    ),
    "Skip to My Lou": (
        "major 4 EECC EE/2E/2G2 DDB,B, DD/2D/2F2 EECC EE/2E/2G2 DE/2F/2ED C2C2 EECC EE/2E/2G2 "
        "DDB,B, DD/2D/2F2 EECC EE/2E/2G2 DE/2F/2ED C2C2"
    ),
    "O du lieber Augustin": (
        "major 3 GA/2G/2F EC2 DG,2 EC2 GA/2G/2F EC2 DG,2 C3 DG,2 EC2 DG,2 EC2 GA/2G/2F EC2 DG,2 C3"
    ),
    "Alle Vögel sind schon da": (
        "major 4 C3/2E/2Gc A3/2c/2AG F3/2G/2EC D2C2 GGFF EGE/2D/2z GGFF EGE/2D/2z C3/2E/2Gc "
        "A3/2c/2AG F3/2G/2EC D2C2"
    ),
    "Hänschen klein": (
        "major 4 GEE2 FDD2 CDEF GGG2 GEE2 FDD2 CEGG C4 DDDD DEF2 EEEE EFG2 GEE2 FDD2 CEGG C4"
    ),
    "Alle meine Entchen": "major 4 CDEF G2G2 AAAA G4 AAAA G4 FFFF E2E2 DDDD C4",
    "Korobeiniki": (
        "minor 4 e2Bc d2cB A2Ac e2dc B3c d2e2 c2A2 A4 zd2f a2gf e3c e2dc B2Bc d2e2 c2A2 A4"
    ),
    "Aura Lee": (
        "major 4 G,CB,C DA,D2 CB,A,B, C4 G,CB,C DA,D2 CB,A,B, C4 EEE2 EEE2 EDCD E4 EEFE DA,D2 "
        "CB,A,B, C4"
    ),
    "Old Hundredth": ("major 4 C2CB, A,G,C2 D2E4 E2EE DCF2 E2D4 C2DE DCA,2 B,2C4 G2EC DFE2 D2C4"),
}
"""By name: the scale, the beats of a bar, and the notes."""


def known_tunes() -> list[MadeTune]:
    """All of them, with chords that suit each bar, at tempi and in keys of their own."""
    return [_tune(written, number) for number, written in enumerate(KNOWN.values())]


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


def _tune(written: str, number: int) -> MadeTune:
    scale, metre, notation = written.split(maxsplit=2)
    beats, lift = int(metre), number % 7 - 3
    notes = [Note(note.start, note.beats, note.key + lift) for note in notes_of(notation)]
    tonic = (60 if scale == "major" else 69) + lift
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
