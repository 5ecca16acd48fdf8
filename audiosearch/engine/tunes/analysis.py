"""From a recording to its `Tune`, whatever blocks the sound comes in."""

import numpy as np
from numpy.typing import NDArray

from audiosearch.engine.analyzers.base import Stream
from audiosearch.engine.arrays import FloatArray
from audiosearch.engine.tunes.contour import smoothest_path
from audiosearch.engine.tunes.melody_network import RESTING, likelihoods
from audiosearch.engine.tunes.predominance import FAINTEST, strongest
from audiosearch.engine.tunes.representation import (
    CLASSES,
    CONTOUR_STEPS,
    MELODIC,
    POOLED,
    Tune,
)
from audiosearch.engine.tunes.salience import (
    BINS,
    FFT,
    HOP,
    KEYS,
    LEAD,
    LOWEST_KEY,
    STEPS,
    TENTH,
    blurred,
    halved,
    heard,
    peaks_of,
    sharpened,
)
from audiosearch.engine.tunes.second_opinion import SecondOpinion, SecondOpinionStream

PART_FRAMES = 160 * POOLED
"""32 s."""
CONTEXT = 20 * POOLED
"""4 s to either side decide the level, and which way the contour goes."""
LEADING_JUMP, FARTHEST_LEADING_JUMP = 0.15, 4.0
"""Cost by third of a semitone, and of any jump; in natural logarithms of likelihood."""
LIKELIHOOD_RANGE = 5.0
"""Natural logarithms by which a pitch is less likely than the likeliest one, and out."""
LEAST_LIKELIHOOD = 1e-6
NOT_LEADING = 0.3
"""Strength of the most salient pitch where another leads."""
FOLDED_KEYS = 50, 88
"""Of what lies outside, the harmonics are taken for it."""


class TuneStream(Stream):
    """Holds the samples of one part and of what is around it.

    second: asked, too, what sounds beside what leads, which takes some ten times as long.
    """

    def __init__(self, second: SecondOpinion | None = None) -> None:
        self._second = SecondOpinionStream(second) if second else None
        self._blocks: list[FloatArray] = [np.zeros(LEAD, np.float32)]
        self._dropped = 0
        self._seen = LEAD
        self._part = 0
        self._pitches: list[NDArray[np.uint8]] = []
        self._contours: list[NDArray[np.uint8]] = []
        self._harmonic: list[NDArray[np.bool_]] = []
        self._turn = 0j

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
        pitches = np.concatenate([*self._pitches, np.zeros((0, BINS), np.uint8)])
        harmonic = np.concatenate([*self._harmonic, np.zeros(0, bool)])
        share = float(harmonic.mean()) if len(harmonic) else 0.0
        if share < MELODIC:
            return Tune.without_melody(share)
        if self._second:
            others = np.round(NOT_LEADING * self._second.finish(len(pitches))).astype(np.uint8)
            pitches = np.maximum(pitches, others)
        tuning = float(np.angle(self._turn) / (2 * np.pi)) if abs(self._turn) else 0.0
        return _tune_of(pitches, np.concatenate(self._contours), tuning, share)

    def _whole_frames(self) -> int:
        return max(0, 1 + (self._seen - FFT) // HOP)

    def _analyse_part(self, end: int, length: int) -> None:
        begin = self._part * PART_FRAMES
        first, last = max(0, begin - CONTEXT), min(end + CONTEXT, length)
        samples = np.concatenate(self._blocks)
        found = heard(samples[first * HOP - self._dropped :], last - first)
        own = slice(begin - first, end - first)
        salience = found.salience[own].reshape(-1, TENTH, BINS).mean(axis=1)
        sharp = sharpened(salience)
        leading = likelihoods(found.spectra)
        tenths = slice(own.start // TENTH, own.stop // TENTH)
        strong = np.maximum(_strengths(leading[tenths]), NOT_LEADING * sharp)
        self._pitches.append(halved(strong))
        self._turn += _turn_of(halved(sharp))
        harmonic = ~np.isnan(strongest(found.salience))
        self._harmonic.append(harmonic[own.start // POOLED : own.stop // POOLED])
        sounds = salience.max(axis=1).reshape(-1, 2).max(axis=1) >= FAINTEST
        self._contours.append(np.where(sounds, _contour_of(leading, tenths), 0).astype(np.uint8))
        self._part += 1
        keep_from = max(0, self._part * PART_FRAMES - CONTEXT) * HOP
        self._blocks = [samples[keep_from - self._dropped :].copy()]
        self._dropped = keep_from


def tune_of(samples: FloatArray, second: SecondOpinion | None = None) -> Tune:
    """The tune of mono sound at SAMPLE_RATE."""
    stream = TuneStream(second)
    stream.feed(samples)
    return stream.finish()


def _strengths(leading: FloatArray) -> FloatArray:
    """(n, BINS) in 0..1, of the pitch that is likeliest to lead 1; blurred, as who hums is out of
    tune."""
    logs = np.log(leading[:, :BINS] + LEAST_LIKELIHOOD)
    logs -= logs.max(axis=1, keepdims=True)
    return blurred(peaks_of(np.maximum(1 + logs / LIKELIHOOD_RANGE, 0)))


def _contour_of(leading: FloatArray, own: slice) -> NDArray[np.uint8]:
    """The pitch that leads, of each two tenths the likelier one; 0 where nothing does."""
    logs = np.log(leading[:, :BINS] + LEAST_LIKELIHOOD)
    path = smoothest_path(logs, LEADING_JUMP, FARTHEST_LEADING_JUMP)[own].reshape(-1, 2)
    pairs = leading[own].reshape(-1, 2, BINS + 1)
    likely = np.take_along_axis(pairs, path[:, :, None], axis=2)[:, :, 0]
    chosen = path[np.arange(len(path)), likely.argmax(axis=1)]
    leads = pairs[:, :, BINS].mean(axis=1) < RESTING
    return np.where(leads, np.round(chosen / STEPS * CONTOUR_STEPS) + 1, 0).astype(np.uint8)


def _tune_of(
    pitches: NDArray[np.uint8], contour: NDArray[np.uint8], tuning: float, harmonic: float
) -> Tune:
    at = np.clip(np.arange(BINS) + tuning * STEPS, 0, BINS - 1)
    below = np.minimum(at.astype(int), BINS - 2)
    share = (at - below).astype(np.float32)
    tuned = pitches[:, below] * (1 - share) + pitches[:, below + 1] * share
    tuned *= 255 / np.maximum(tuned.max(axis=1, keepdims=True), 1)
    folded = np.zeros((len(tuned), CLASSES), np.float32)
    for octave in range(-(-BINS // CLASSES)):
        reached = slice(
            max(octave * CLASSES, (FOLDED_KEYS[0] - LOWEST_KEY) * STEPS),
            min((octave + 1) * CLASSES, (FOLDED_KEYS[1] - LOWEST_KEY) * STEPS + 1),
        )
        classes = slice(reached.start - octave * CLASSES, reached.stop - octave * CLASSES)
        np.maximum(folded[:, classes], tuned[:, reached], out=folded[:, classes])
    folded *= 255 / np.maximum(folded.max(axis=1, keepdims=True, initial=0), 1)
    lower = round(tuning * CONTOUR_STEPS)
    lifted = np.clip(contour.astype(np.int16) - lower, 1, KEYS * CONTOUR_STEPS)
    return Tune(
        folded=np.round(np.roll(folded, LOWEST_KEY * STEPS, axis=1)).astype(np.uint8),
        unfolded=np.round(tuned[:, ::STEPS]).astype(np.uint8),
        contour=np.where(contour > 0, lifted, 0).astype(np.uint8),
        tuning=np.array([tuning], np.float32),
        harmonic=np.array([harmonic], np.float32),
    )


def _turn_of(pitches: NDArray[np.uint8]) -> complex:
    """Which way, as an angle, what sounds lies from the keys of a piano; summed over moments."""
    strength = np.square(pitches.astype(np.float32)).sum(axis=0)
    return complex((strength * np.exp(2j * np.pi * np.arange(BINS) / STEPS)).sum())
