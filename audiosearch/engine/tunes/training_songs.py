"""Songs to train the projection on: made from seeds, and played by instruments made from them.

None of this is of the instruments and songs that benchmarks ask for.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audiosearch.engine.arrays import FloatArray
from audiosearch.engine.tunes.salience import SAMPLE_RATE

Notes = list[tuple[float, float, float]]
"""When each begins and how long it lasts, in seconds, and its MIDI number."""
SCALES = (
    (0, 2, 4, 5, 7, 9, 11),
    (0, 2, 3, 5, 7, 8, 10),
    (0, 2, 3, 5, 7, 9, 10),
    (0, 2, 4, 5, 7, 9, 10),
    (0, 2, 3, 5, 7, 8, 11),
)
LENGTHS, LENGTH_SHARES = (0.5, 1.0, 1.5, 2.0, 3.0), (0.38, 0.38, 0.1, 0.1, 0.04)
"""Of notes, in beats."""
STEPS, STEP_SHARES = (-5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5), (1, 2, 4, 9, 18, 8, 18, 9, 4, 2, 1)
BEATS, BEATS_PER_BAR = 64, 4
CHORD_OCTAVES = -1, -1, -1, 0, 1
SUSTAINED, FADING = (4.0, 20.0), (0.3, 1.5)
"""Seconds in which a tone falls by 60 dB."""
HARMONICS, RELEASE_S = 10, 0.1
VIBRATO_RATE = 33.0
"""In radians a second."""
SUNG = 0.35
"""Share of songs whose melody is sung."""
VOWELS = (
    (800, 1200, 2600),
    (500, 1800, 2500),
    (300, 2200, 3000),
    (450, 850, 2500),
    (350, 700, 2400),
)
"""Hz of three formants each; SHARPNESS: of a formant, by its frequency."""
SHARPNESS, SUNG_HARMONICS, GLIDE_S = 6.0, 24, 0.08
Rng = np.random.Generator


@dataclass(frozen=True)
class TrainingSong:
    """melody; accompaniment: chords and bass, as they are always played with it."""

    melody: Notes
    chords: Notes
    bass: Notes
    seconds: float


def made_song(rng: Rng) -> TrainingSong:
    """A walk on a scale over chords, of some 30 to 50 s."""
    beat = 60 / rng.uniform(75, 135)
    scale, tonic = SCALES[rng.integers(len(SCALES))], int(rng.integers(55, 70))
    roots = rng.choice((0, 0, 3, 4, 5, 1), BEATS // BEATS_PER_BAR)
    shares = np.array(STEP_SHARES) / sum(STEP_SHARES)
    at, degree, melody = 0.0, int(rng.choice((0, 2, 4, 7))), list[tuple[float, float, float]]()
    while at < BEATS - 1:
        if at % BEATS_PER_BAR == 0 and rng.random() < 0.8:
            root = int(roots[int(at) // BEATS_PER_BAR])
            degree += min((root + third - degree + 3) % 7 - 3 for third in (0, 2, 4))
        length = float(rng.choice(LENGTHS, p=LENGTH_SHARES))
        rest = rng.random() < 0.05
        if not rest:
            melody.append((at * beat, length * beat, _key(scale, tonic, degree)))
        at += length
        degree = int(np.clip(degree + rng.choice(STEPS, p=shares), -3, 9))
    chords, bass = _accompaniment(rng, scale, tonic, roots, beat)
    return TrainingSong(melody, chords, bass, BEATS * beat)


def _accompaniment(
    rng: Rng, scale: tuple[int, ...], tonic: int, roots: NDArray[np.int64], beat: float
) -> tuple[Notes, Notes]:
    """Held or broken chords, mostly below the melody, and a bass of roots and fifths."""
    broken, chords, bass = rng.random() < 0.5, Notes(), Notes()
    octave = int(rng.choice(CHORD_OCTAVES))
    order = rng.integers(0, 3, BEATS_PER_BAR * 2)
    for bar, root in enumerate(roots.tolist()):
        begin = bar * BEATS_PER_BAR * beat
        low = root - 7 if root > 3 else root
        triad = [_key(scale, tonic, low + third) + 12 * octave for third in (0, 2, 4)]
        if broken:
            chords += [
                (begin + n * beat / 2, beat / 2, triad[tone]) for n, tone in enumerate(order)
            ]
        else:
            chords += [(begin, BEATS_PER_BAR * beat, key) for key in triad]
        for n in range(0, BEATS_PER_BAR, 2):
            fifth = _key(scale, tonic, low + (4 if n and rng.random() < 0.5 else 0))
            bass.append((begin + n * beat, 2 * beat, fifth - 24))
    return chords, bass


def played(song: TrainingSong, rng: Rng, key: int = 0) -> FloatArray:
    """(n,) float32 mono at SAMPLE_RATE, so many semitones higher, by instruments of its own."""
    size = round((song.seconds + 1) * SAMPLE_RATE)
    lead = _sung if rng.random() < SUNG else _part
    mix = lead(song.melody, rng, key, size)
    mix += rng.uniform(0.4, 0.9) * _part(song.chords, rng, key, size)
    if rng.random() < 0.75:
        mix += rng.uniform(0.4, 0.9) * _part(song.bass, rng, key, size)
    if rng.random() < 0.6:
        mix += rng.uniform(0.3, 0.8) * _drums(rng, size)
    return np.asarray(mix / np.abs(mix).max() * 0.7, np.float32)


def _part(notes: Notes, rng: Rng, key: int, size: int) -> FloatArray:
    """(size,) of a root mean square of 1."""
    instrument = _Instrument(rng)
    wave = np.zeros(size, np.float32)
    for begin, length, note in notes:
        start = round((begin + rng.uniform(0, 0.01)) * SAMPLE_RATE)
        tone = instrument.tone(note + key, length)[: size - start]
        wave[start : start + len(tone)] += np.float32(rng.uniform(0.8, 1)) * tone
    return wave / (wave.std() + np.float32(1e-9))


def _sung(notes: Notes, rng: Rng, key: int, size: int) -> FloatArray:
    """(size,) of a root mean square of 1: a voice, that glides from note to note and vibrates."""
    t = np.arange(size) / SAMPLE_RATE
    keys, loud = np.zeros(size), np.zeros(size)
    formants = np.ones((3, size))
    before = notes[0][2]
    for begin, length, note in notes:
        own = slice(round(begin * SAMPLE_RATE), round((begin + length) * SAMPLE_RATE))
        at = t[own] - begin
        sung = note + rng.normal(0, 0.1)
        keys[own] = sung + (before - sung) * np.clip(1 - at / GLIDE_S, 0, 1) ** 2
        loud[own] = rng.uniform(0.6, 1) * np.clip(np.minimum(at, length - at) / 0.03, 0, 1)
        formants[:, own] = np.array(VOWELS[rng.integers(len(VOWELS))])[:, None]
        before = sung
    depth = rng.uniform(0, 0.6) * (rng.random() < 0.7)
    keys += key + depth * np.sin(2 * np.pi * rng.uniform(4.5, 6.5) * t)
    hz = 440 * 2 ** ((keys - 69) / 12)
    turn = 2 * np.pi * np.cumsum(hz) / SAMPLE_RATE
    voice, falling = np.zeros(size), rng.uniform(0.7, 1.3)
    for number in range(1, SUNG_HARMONICS + 1):
        apart = np.log2(number * hz / formants) * SHARPNESS
        gain = (0.1 + 1 / (1 + apart**2)).sum(axis=0) * number**-falling
        voice += np.where(number * hz < SAMPLE_RATE / 2, gain, 0) * np.sin(
            number * turn + number**2
        )
    voice = loud * (voice + 0.03 * rng.standard_normal(size))
    return np.asarray(voice / (voice.std() + 1e-9), np.float32)


class _Instrument:
    """Harmonics of a timbre of its own, that rise, fade and may vibrate."""

    def __init__(self, rng: Rng) -> None:
        numbers = np.arange(1, HARMONICS + 1)
        odd = rng.uniform(0.1, 1)
        self._gains = numbers ** -rng.uniform(0.5, 2.2) * np.where(numbers % 2, 1, odd)
        self._fades = np.exp(rng.uniform(*np.log(FADING if rng.random() < 0.5 else SUSTAINED)))
        self._attack = rng.uniform(0.003, 0.06)
        self._vibrato = rng.uniform(0, 0.3) * (rng.random() < 0.4)
        self._played: dict[tuple[float, float], FloatArray] = {}

    def tone(self, key: float, seconds: float) -> FloatArray:
        """(n,) a note and how it rings off; those that come again are the same."""
        if (key, seconds) not in self._played:
            self._played[key, seconds] = self._tone(key, seconds)
        return self._played[key, seconds]

    def _tone(self, key: float, seconds: float) -> FloatArray:
        t = np.arange(round((seconds + RELEASE_S) * SAMPLE_RATE)) / SAMPLE_RATE
        hz = 440 * 2 ** ((key - 69) / 12)
        bend = self._vibrato * np.log(2) / 12 / VIBRATO_RATE
        turn = 2 * np.pi * hz * (t + bend * np.sin(VIBRATO_RATE * t))
        loud = np.exp(-6.9 * t / self._fades) * np.clip(t / self._attack, 0, 1)
        loud *= np.clip((seconds + RELEASE_S - t) / RELEASE_S, 0, 1)
        heard = range(1, min(HARMONICS, int(SAMPLE_RATE / 2 / hz)) + 1)
        tone = sum(self._gains[n - 1] * np.sin(n * turn + n * n) for n in heard)
        return np.asarray(loud * tone, np.float32)


def _drums(rng: Rng, size: int) -> FloatArray:
    """Bursts of noise, dull and bright ones by turns; (size,) of a root mean square of 1."""
    wave = np.zeros(size, np.float32)
    every = round(rng.uniform(0.22, 0.4) * SAMPLE_RATE)
    t = np.arange(every) / SAMPLE_RATE
    for number, start in enumerate(range(0, size - every, every)):
        noise = rng.standard_normal(every)
        if number % 2:
            noise[1:] -= noise[:-1].copy()
        else:
            noise = np.convolve(noise, np.ones(24) / 24, "same") * 4
        wave[start : start + every] += noise * np.exp(-t / rng.uniform(0.02, 0.06))
    return wave / (wave.std() + 1e-9)


def _key(scale: tuple[int, ...], tonic: int, degree: int) -> float:
    octave, step = divmod(degree, 7)
    return float(tonic + 12 * octave + scale[step])
