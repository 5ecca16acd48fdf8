"""The queries of `benchmarks.tunes`: hums of three skills and whistles, simulated.

Their pitches are off by note, drift over time, glide between notes and vibrate; their time is
uneven, notes are left out, and key and tempo are the hummer's own. They are no real hums. A phone's
microphone can stand between.
"""

from dataclasses import dataclass

import numpy as np
from scipy.signal import butter, sosfilt

from apps.ops.demo.shaping import Wave
from audiosearch.engine.arrays import FloatArray
from audiosearch.engine.tunes.salience import SAMPLE_RATE

TEMPI = 0.8, 1.25
HUMMED_KEYS, WHISTLED_KEYS = (48, 66), (80, 96)
"""Where the middle of a tune is hummed, by women and men, and whistled; MIDI numbers."""
FEWEST_NOTES = 6
QUIET_DB = 20
"""Of the hum above the noise of a quiet room."""
PHONE_HZ = 300, 3400
PHONE_CLIPS = 0.6
"""Of the peak."""


@dataclass(frozen=True)
class Skill:
    """How far off somebody hums: semitones by note, share of a note's length, semitones over the
    whole, share of the notes left out."""

    pitch: float
    time: float
    drift: float
    left_out: float


SKILLS = {
    "good": Skill(0.15, 0.08, 0.1, 0.02),
    "average": Skill(0.35, 0.15, 0.3, 0.04),
    "poor": Skill(0.7, 0.25, 0.6, 0.08),
}


@dataclass(frozen=True)
class Hum:
    """Sound at SAMPLE_RATE; what of the tune it is, in seconds of it; lift: semitones above it."""

    samples: FloatArray
    begin: float
    end: float
    lift: float


Notes = list[tuple[float, float, float]]


def hum(
    notes: Notes,
    rng: np.random.Generator,
    skill: Skill,
    seconds: float,
    *,
    whistled: bool = False,
    snr: float = QUIET_DB,
    drifting: float = 0.0,
    hastening: float = 0.0,
    phone: bool = False,
) -> Hum:
    """A stretch of a tune as somebody of this skill hums it, from one of its notes on.

    notes: start and length in seconds, MIDI number; snr: in dB, to pink noise; drifting: semitones
    a minute, up or down; hastening: share by which the tempo changes on the way, up or down.
    """
    tempo = float(rng.uniform(*TEMPI))
    ending = notes[-1][0] + notes[-1][1]
    begins = [
        one[0]
        for one in notes
        if one[0] + seconds * tempo <= ending
        and sum(one[0] <= other[0] < one[0] + seconds * tempo for other in notes) >= FEWEST_NOTES
    ] or [notes[0][0]]
    begin = float(rng.choice(begins))
    end = begin + seconds * tempo
    heard = [note for note in notes if begin <= note[0] < end]
    heard = _in_time(heard, begin, end, seconds, hastening * rng.choice((-1, 1)))
    middle = float(np.median([key for _, _, key in heard]))
    lift = rng.uniform(*(WHISTLED_KEYS if whistled else HUMMED_KEYS)) - middle
    off = _off([(start, length, key + lift) for start, length, key in heard], rng, skill)
    drift = rng.normal(0, skill.drift) / seconds + rng.choice((-1, 1)) * drifting / 60
    keys, loudness = _sung(off, rng, drift, seconds, glides=not whistled)
    sound = _sound(keys, loudness, rng, whistled=whistled)
    sound += _pink(rng, len(sound)) * sound.std() * 10 ** (-snr / 20)
    if phone:
        sound = _by_phone(sound)
    return Hum((sound / np.abs(sound).max() * 0.7).astype(np.float32), begin, end, float(lift))


def _in_time(notes: Notes, begin: float, end: float, seconds: float, hastening: float) -> Notes:
    """The notes between two moments of a tune, hummed in so many seconds, ever faster."""
    hummed = np.linspace(0, seconds, 200)
    share = hummed / seconds
    of_tune = (end - begin) * (share + hastening / 2 * share * (share - 1))
    return [
        (
            float(np.interp(start - begin, of_tune, hummed)),
            length * seconds / (end - begin),
            key,
        )
        for start, length, key in notes
    ]


def _off(notes: Notes, rng: np.random.Generator, skill: Skill) -> Notes:
    """The notes as they are hummed; the first few are never left out."""
    hummed: Notes = []
    for start, length, key in notes:
        if len(hummed) > 2 and rng.random() < skill.left_out:
            continue
        slip = rng.choice((-12, 12)) if rng.random() < skill.left_out / 2 else 0
        late = rng.normal(0, skill.time * min(length, 0.3))
        lasting = length * np.exp(rng.normal(0, skill.time))
        hummed.append((max(0.0, start + late), lasting, key + rng.normal(0, skill.pitch) + slip))
    return sorted(hummed)


def _sung(
    notes: Notes, rng: np.random.Generator, drift: float, seconds: float, *, glides: bool
) -> tuple[FloatArray, FloatArray]:
    """MIDI number and loudness of each sample; drift: semitones a second."""
    size = round((seconds + 0.5) * SAMPLE_RATE)
    keys, loudness = np.full(size, 60, np.float32), np.zeros(size, np.float32)
    before: float | None = None
    for number, (start, length, key) in enumerate(notes):
        following = notes[number + 1][0] if number + 1 < len(notes) else start + length
        stop = min(max(following - 0.03, start + 0.05), start + 1.1 * length)
        begin, end = round(start * SAMPLE_RATE), min(size, round(stop * SAMPLE_RATE))
        if end - begin < 0.02 * SAMPLE_RATE:
            continue
        t = np.arange(end - begin) / SAMPLE_RATE
        vibrato = rng.uniform(0, 0.25) * np.sin(2 * np.pi * rng.uniform(4.5, 6.5) * t)
        sung = key + drift * (start + t) + vibrato * np.clip(t / 0.2, 0, 1)
        sung += np.cumsum(rng.normal(0, 0.0006, len(t)))
        if glides and before is not None:
            sung += (before - sung[0]) * np.clip(1 - t / 0.06, 0, 1) ** 2
        ramp = np.minimum(t, t[-1] - t) / 0.03
        keys[begin:end] = sung
        loudness[begin:end] = np.clip(ramp, 0, 1) * rng.uniform(0.6, 1)
        before = float(sung[-1])
    return keys, loudness


def _sound(
    keys: FloatArray, loudness: FloatArray, rng: np.random.Generator, *, whistled: bool
) -> Wave:
    phase = 2 * np.pi * np.cumsum(440 * 2 ** ((keys.astype(np.float64) - 69) / 12)) / SAMPLE_RATE
    if whistled:
        sound = np.sin(phase) + 0.02 * np.sin(2 * phase) + 0.05 * rng.normal(size=len(phase))
    else:
        sound = np.sum([np.sin(n * phase + n) / n**1.6 for n in range(1, 9)], axis=0)
    return np.asarray(sound * loudness, np.float64)


def _by_phone(sound: Wave) -> Wave:
    """Only the band that phones send, and the loudest of it clipped."""
    heard = sosfilt(butter(4, PHONE_HZ, "band", fs=SAMPLE_RATE, output="sos"), sound)
    limit = PHONE_CLIPS * np.abs(heard).max()
    return np.asarray(np.clip(heard, -limit, limit), np.float64)


def _pink(rng: np.random.Generator, size: int) -> Wave:
    """Noise of as much power in each octave, of a standard deviation of 1."""
    spectrum = np.fft.rfft(rng.normal(size=size))
    spectrum /= np.sqrt(np.maximum(np.arange(len(spectrum)), 1))
    noise = np.fft.irfft(spectrum, size)
    return np.asarray(noise / noise.std(), np.float64)
