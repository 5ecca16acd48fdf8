"""From a recording to its `Tune`, whatever blocks the sound comes in."""

import numpy as np
from numpy.typing import NDArray

from audiosearch.engine.analyzers.base import Stream
from audiosearch.engine.arrays import FloatArray
from audiosearch.engine.tunes.contour import smoothest_path
from audiosearch.engine.tunes.representation import (
    CLASSES,
    CONTOUR_STEPS,
    MELODIC,
    POOLED,
    Tune,
)
from audiosearch.engine.tunes.salience import (
    BINS,
    BRIGHTNESS,
    FFT,
    HOP,
    KEYS,
    LEAD,
    LOWEST_KEY,
    STEPS,
    halved,
    salience,
    sharpened,
)
from audiosearch.engine.tunes.second_opinion import SecondOpinion, SecondOpinionStream

PART_FRAMES = 160 * POOLED
"""32 s."""
CONTEXT = 20 * POOLED
"""4 s to either side decide the level, and which way the contour goes."""
JUMP, FARTHEST_JUMP = 0.3, 2.5
"""Cost by third of a semitone, and of any jump; in salience."""
FAINTEST, CLEAREST = 0.5, 3.0
"""Salience of the contour from which on a frame is harmonic, and in means of all pitches."""
HELD = 0.7
"""Share of a pitch's mean over the recording that is taken off it: what sounds all the time
accompanies, and a melody moves."""
FOLDED_KEYS = 50, 88
"""Of what lies outside, the harmonics are taken for it."""


class TuneStream(Stream):
    """Holds the samples of one part and of what is around it.

    second: asked, too, what sounds, which takes some ten times as long; both count.
    """

    def __init__(self, second: SecondOpinion | None = None) -> None:
        self._second = SecondOpinionStream(second) if second else None
        self._blocks: list[FloatArray] = [np.zeros(LEAD, np.float32)]
        self._dropped = 0
        self._seen = LEAD
        self._part = 0
        self._saliences: list[NDArray[np.uint8]] = []
        self._contours: list[NDArray[np.uint8]] = []

    def feed(self, block: FloatArray) -> None:
        if self._second:
            self._second.feed(block)
        self._blocks.append(np.array(block, np.float32))
        self._seen += len(block)
        while self._whole_frames() >= (self._part + 1) * PART_FRAMES + CONTEXT:
            self._analyse_part((self._part + 1) * PART_FRAMES, self._whole_frames())

    def finish(self) -> Tune:
        length = (self._seen - LEAD) // HOP // POOLED * POOLED
        self._blocks.append(np.zeros(FFT, np.float32))
        while self._part * PART_FRAMES < length:
            self._analyse_part(min((self._part + 1) * PART_FRAMES, length), length)
        self._blocks.clear()
        pitches = np.concatenate([*self._saliences, np.zeros((0, BINS), np.uint8)])
        contour = np.concatenate([*self._contours, np.zeros(0, np.uint8)])
        harmonic = float((contour > 0).mean()) if len(contour) else 0.0
        if harmonic < MELODIC:
            return Tune.without_melody(harmonic)
        if self._second:
            pitches = _together(pitches, self._second.finish(len(pitches)))
        return _tune_of(pitches, contour)

    def _whole_frames(self) -> int:
        return max(0, 1 + (self._seen - FFT) // HOP)

    def _analyse_part(self, end: int, length: int) -> None:
        begin = self._part * PART_FRAMES
        first, last = max(0, begin - CONTEXT), min(end + CONTEXT, length)
        samples = np.concatenate(self._blocks)
        found = salience(samples[first * HOP - self._dropped :], last - first)
        own = slice(begin - first, end - first)
        sharp = sharpened(found[own].reshape(-1, POOLED // 2, BINS).mean(axis=1))
        self._saliences.append(halved(sharp))
        self._contours.append(_contour_of(found, own))
        self._part += 1
        keep_from = max(0, self._part * PART_FRAMES - CONTEXT) * HOP
        self._blocks = [samples[keep_from - self._dropped :].copy()]
        self._dropped = keep_from


def tune_of(samples: FloatArray, second: SecondOpinion | None = None) -> Tune:
    """The tune of mono sound at SAMPLE_RATE."""
    stream = TuneStream(second)
    stream.feed(samples)
    return stream.finish()


def _contour_of(found: FloatArray, own: slice) -> NDArray[np.uint8]:
    """The predominant pitch of each tenth of its own frames; 0 where nothing is harmonic."""
    weights = 1 + BRIGHTNESS * (np.arange(BINS) / STEPS - KEYS / 2)
    path = smoothest_path(found * weights.astype(np.float32), JUMP, FARTHEST_JUMP)[own]
    pooled = found[own].reshape(-1, POOLED, BINS).mean(axis=1)
    middle = np.median(path.reshape(-1, POOLED), axis=1)
    height = pooled[np.arange(len(pooled)), middle.astype(int)]
    harmonic = (height >= FAINTEST) & (height >= CLEAREST * pooled.mean(axis=1))
    return np.where(harmonic, np.round(middle / STEPS * CONTOUR_STEPS) + 1, 0).astype(np.uint8)


def _together(own: NDArray[np.uint8], second: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Three quarters of the stronger opinion of each pitch and one of the weaker: what one alone
    hears counts, and what both hear counts more."""
    stronger = np.maximum(own, second).astype(np.uint16)
    return ((3 * stronger + np.minimum(own, second) + 2) // 4).astype(np.uint8)


def _tune_of(pitches: NDArray[np.uint8], contour: NDArray[np.uint8]) -> Tune:
    tuning = _tuning_of(pitches)
    at = np.clip(np.arange(BINS) + tuning * STEPS, 0, BINS - 1)
    below = np.minimum(at.astype(int), BINS - 2)
    share = (at - below).astype(np.float32)
    moving = _moving(pitches)
    tuned = moving[:, below] * (1 - share) + moving[:, below + 1] * share
    folded = np.zeros((len(tuned), CLASSES), np.float32)
    for octave in range(-(-BINS // CLASSES)):
        heard = slice(
            max(octave * CLASSES, (FOLDED_KEYS[0] - LOWEST_KEY) * STEPS),
            min((octave + 1) * CLASSES, (FOLDED_KEYS[1] - LOWEST_KEY) * STEPS + 1),
        )
        classes = slice(heard.start - octave * CLASSES, heard.stop - octave * CLASSES)
        np.maximum(folded[:, classes], tuned[:, heard], out=folded[:, classes])
    folded *= 255 / np.maximum(folded.max(axis=1, keepdims=True, initial=0), 1)
    lower = round(tuning * CONTOUR_STEPS)
    lifted = np.clip(contour.astype(np.int16) - lower, 1, KEYS * CONTOUR_STEPS)
    return Tune(
        folded=np.round(np.roll(folded, LOWEST_KEY * STEPS, axis=1)).astype(np.uint8),
        unfolded=np.round(tuned[:, ::STEPS]).astype(np.uint8),
        contour=np.where(contour > 0, lifted, 0).astype(np.uint8),
        tuning=np.array([tuning], np.float32),
        harmonic=np.array([(contour > 0).mean()], np.float32),
    )


def _moving(pitches: NDArray[np.uint8]) -> FloatArray:
    """The pitches without what is held, 255 the strongest of a frame again."""
    if not len(pitches):
        return pitches.astype(np.float32)
    moving = np.maximum(pitches - np.float32(HELD) * pitches.mean(axis=0, dtype=np.float32), 0)
    moving *= 255 / np.maximum(moving.max(axis=1, keepdims=True), 1)
    return np.asarray(moving, np.float32)


def _tuning_of(pitches: NDArray[np.uint8]) -> float:
    """Semitones in -0.5..0.5 by which what sounds lies above the keys of a piano."""
    strength = np.square(pitches.astype(np.float32)).sum(axis=0)
    turn = (strength * np.exp(2j * np.pi * np.arange(BINS) / STEPS)).sum()
    return float(np.angle(turn) / (2 * np.pi)) if abs(turn) else 0.0
