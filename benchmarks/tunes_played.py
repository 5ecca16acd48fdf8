"""Songs of `benchmarks.tunes` as fluidsynth plays them: arrangements for General MIDI instruments.

A melody is led by one of LEADS, with vibrato or without, over chords, mostly with a bass and
drums, often with a second voice; at times what accompanies it lies above it. Each arrangement has
a tuning of its own. Programs are numbered from 0.
"""

import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile

import mido
import numpy as np

from apps.ops.demo.melody import SCALES, Note, Song
from audiosearch.engine.arrays import FloatArray
from audiosearch.engine.tunes.salience import SAMPLE_RATE
from benchmarks.tunes_made import MadeTune

PACKAGES = {
    "/usr/share/sounds/sf2/FluidR3_GM.sf2": "fluid-soundfont-gm",
    "/usr/share/sounds/sf2/TimGM6mb.sf2": "timgm6mb-soundfont",
    "/usr/share/sounds/sf3/MuseScore_General_Lite.sf3": "musescore-general-soundfont-small",
}
"""Where Debian's packages put the soundfonts."""
LEADS = {
    "piano": (0, 1, 4),
    "mallets": (11, 12),
    "organ": (16, 19, 21, 22),
    "guitar": (24, 25, 26),
    "strings": (40, 41, 48),
    "voices": (52, 53),
    "brass": (56, 57, 60),
    "saxophone": (64, 65, 66),
    "woodwind": (68, 71, 73, 75),
    "synthesiser": (80, 81),
}
DYING = ("piano", "mallets", "guitar")
"""Those that cannot hold a note."""
CHORDS = (0, 4, 16, 19, 24, 25, 26, 48, 49, 50, 52, 88, 89)
BASSES = (32, 33, 34, 35, 38)
LEAD, BACKING, BASS, SECOND, DRUMS = 0, 1, 2, 3, 9
"""Channels; that of drums is General MIDI's."""
KICK, SNARE, HIHAT = 36, 38, 42
TUNINGS = -0.5, 0.5
"""Semitones from 440 Hz."""
BEND_PER_SEMITONE = 4096
MODULATION, VOLUME, ALL_OFF, RESET = 1, 7, 120, 121
UNEVEN_S = 0.012
GAP_S = 2.5
"""Between songs that are played one after another: what rings on ends in it."""
GAIN = 0.3
TICKS_PER_SECOND = 1000

Event = tuple[float, mido.Message]


@dataclass(frozen=True)
class Arrangement:
    """A song for General MIDI: messages by seconds from its beginning, and how long it is.

    lead: a key of LEADS; above: whether what accompanies lies above the melody.
    """

    events: list[Event]
    seconds: float
    lead: str
    above: bool


def arranged(
    tune: MadeTune, seed: int, key: int = 0, speed: float = 1.0, *, alone: bool = False
) -> Arrangement:
    """One of the arrangements of a tune, `key` semitones up and `speed` times as fast; alone: the
    melody, and nothing with it."""
    rng = np.random.default_rng((33, seed))
    song = tune.song
    second = song.beat_seconds / speed
    lead = str(rng.choice(list(LEADS)))
    above = not alone and bool(rng.random() < 0.25)
    band = _Band(rng, second, key, float(rng.uniform(*TUNINGS)))
    vibrato = int(rng.integers(40, 100)) if rng.random() < 0.5 else 0
    band.sit(LEAD, int(rng.choice(LEADS[lead])), vibrato)
    band.play(LEAD, tune.melody, int(rng.integers(90, 115)), rng.uniform(0.8, 1))
    if not alone:
        loud = int(rng.integers(50, 95))
        band.sit(BACKING, int(rng.choice(CHORDS)))
        band.play(BACKING, _chords(rng, song, above), loud, 0.95)
        if rng.random() < 0.3:
            band.sit(SECOND, int(rng.choice(LEADS[lead])), vibrato)
            band.play(SECOND, [_third_below(song, note) for note in tune.melody], 75, 0.9)
        if rng.random() < 0.8:
            band.sit(BASS, int(rng.choice(BASSES)))
            band.play(BASS, _bass(rng, song), int(rng.integers(60, 100)), 0.9)
        if rng.random() < 0.65:
            band.play(DRUMS, _drums(rng, song), int(rng.integers(50, 100)), 0.5)
    return Arrangement(band.events, song.seconds / speed, lead, above)


def play(arrangements: Sequence[Arrangement], font: Path) -> Iterator[FloatArray]:
    """(n,) float32 mono at SAMPLE_RATE of each, its peak at 0.7.

    They are played in one go, as a soundfont is slow to load. Raises FileNotFoundError without
    fluidsynth, CalledProcessError when it fails.
    """
    begin, events, starts = 0.0, list[Event](), list[float]()
    for one in arrangements:
        starts.append(begin)
        events += [(begin, message) for channel in range(16) for message in _silent(channel)]
        events += [(begin + at, message) for at, message in one.events]
        begin += one.seconds + GAP_S
    events.append((begin, mido.Message("note_off")))
    sound = _sound_of(events, font)
    for one, start in zip(arrangements, starts, strict=True):
        first = round(start * SAMPLE_RATE)
        own = sound[first : first + round((one.seconds + 1) * SAMPLE_RATE)]
        yield np.asarray(own / max(float(np.abs(own).max()), 1e-9) * 0.7, np.float32)


def why_missing(fonts: Sequence[Path]) -> str:
    """What to install for these soundfonts, as a sentence; empty when all is there."""
    missing = [PACKAGES.get(str(font), str(font)) for font in fonts if not font.exists()]
    try:
        subprocess.run(["fluidsynth", "--version"], check=True, capture_output=True)
    except FileNotFoundError:
        missing.insert(0, "fluidsynth")
    return f"Songs cannot be played; install {', '.join(missing)}." if missing else ""


class _Band:
    """Collects what is played on all channels."""

    def __init__(self, rng: np.random.Generator, beat: float, key: int, tuning: float) -> None:
        self.events: list[Event] = []
        self._rng, self._beat, self._key = rng, beat, key
        self._bend = round(tuning * BEND_PER_SEMITONE)

    def sit(self, channel: int, program: int, vibrato: int = 0) -> None:
        """Let a channel have an instrument, in tune with the others."""
        for message in (
            mido.Message("program_change", channel=channel, program=program),
            mido.Message("pitchwheel", channel=channel, pitch=self._bend),
            mido.Message("control_change", channel=channel, control=MODULATION, value=vibrato),
        ):
            self.events.append((0.0, message))

    def play(self, channel: int, notes: Sequence[Note], velocity: int, share: float) -> None:
        """share: of its beats that a note is held."""
        lift = 0 if channel == DRUMS else self._key
        for note in notes:
            at = max(0.01, note.start * self._beat + self._rng.normal(0, UNEVEN_S))
            loud = int(np.clip(velocity + self._rng.normal(0, 6), 1, 127))
            played = {"channel": channel, "note": note.key + lift}
            self.events.append((at, mido.Message("note_on", velocity=loud, **played)))
            end = at + max(0.05, note.beats * self._beat * share)
            self.events.append((end, mido.Message("note_off", **played)))


def _chords(rng: np.random.Generator, song: Song, above: bool) -> list[Note]:
    octave = 1 if above else int(rng.choice((-1, -1, 0)))
    if rng.random() < 0.5:
        return song.held_chords(octave)
    order = ((0, 1, 2, 1), (0, 2, 1, 2), (0, 1, 2, 3))[rng.integers(3)]
    return song.broken_chords(order, 0.5, octave)


def _bass(rng: np.random.Generator, song: Song) -> list[Note]:
    if rng.random() < 0.5:
        return [
            Note(bar * song.beats_per_bar, song.beats_per_bar, song.key(song.chord(bar)[0]) - 24)
            for bar in range(len(song.progression))
        ]
    riff = tuple(rng.integers(0, 4, int(rng.integers(2, 5))).tolist())
    return song.broken_chords((0, *riff), float(rng.choice((0.5, 1))), -2)


def _drums(rng: np.random.Generator, song: Song) -> list[Note]:
    """A bar of a pattern, again and again."""
    steps = song.beats_per_bar * 2
    kicks = [0, *np.flatnonzero(rng.random(steps) < 0.2).tolist()]
    snares = list(range(2, steps, 4)) if rng.random() < 0.8 else []
    hats = range(0, steps, int(rng.choice((1, 2))))
    bar = [(step, KICK) for step in kicks] + [(step, SNARE) for step in snares]
    bar += [(step, HIHAT) for step in hats]
    return [
        Note(number * song.beats_per_bar + step / 2, 0.25, drum)
        for number in range(len(song.progression))
        for step, drum in bar
    ]


def _third_below(song: Song, note: Note) -> Note:
    """Two degrees of the scale below a note."""
    scale = {(song.tonic + step) % 12 for step in SCALES[song.scale]}
    below = [key for key in range(note.key - 1, note.key - 6, -1) if key % 12 in scale]
    return Note(note.start, note.beats, below[1])


def _silent(channel: int) -> list[mido.Message]:
    return [
        mido.Message("control_change", channel=channel, control=ALL_OFF, value=0),
        mido.Message("control_change", channel=channel, control=RESET, value=0),
        mido.Message("control_change", channel=channel, control=VOLUME, value=100),
    ]


def _sound_of(events: list[Event], font: Path) -> FloatArray:
    """What fluidsynth makes of them, without effects of the room but its reverberation."""
    track, now = mido.MidiTrack(), 0
    for at, message in sorted(events, key=lambda event: event[0]):
        tick = round(at * TICKS_PER_SECOND)
        track.append(message.copy(time=tick - now))
        now = tick
    midi = mido.MidiFile(type=0, ticks_per_beat=TICKS_PER_SECOND // 2, tracks=[track])
    with NamedTemporaryFile(suffix=".mid") as file:
        midi.save(file=file)
        file.flush()
        command = ["fluidsynth", "-niq", "-F", "-", "-T", "raw", "-O", "float", "-g", f"{GAIN}"]
        command += ["-r", f"{SAMPLE_RATE}", "-C", "0", "-o", "synth.dynamic-sample-loading=1"]
        made = subprocess.run([*command, str(font), file.name], check=True, capture_output=True)
    stereo = np.frombuffer(made.stdout, np.float32).reshape(-1, 2)
    return np.asarray(stereo.mean(axis=1), np.float32)
