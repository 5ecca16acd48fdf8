"""Made tunes that are in no catalogue: what a query scores against them, it scores by chance.

They keep the field of a small catalogue as large as a larger one's. Melodies and chords are made
from seeds, and what would be heard of them: no sound is.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from audiosearch.engine.arrays import FloatArray
from audiosearch.engine.tunes.packing import PackedTune
from audiosearch.engine.tunes.representation import (
    CLASSES,
    CONTOUR_STEPS,
    FRAMES_PER_SECOND,
    Tune,
)
from audiosearch.engine.tunes.salience import BINS, BLUR, KEYS, LOWEST_KEY, STEPS

FEWEST = 60
"""Tracks of a field: so many strangers join those that are fewer."""
LENGTH_STEP, LONGEST = 10 * FRAMES_PER_SECOND, 240 * FRAMES_PER_SECOND
"""Strangers are as long as half of the tracks, in frames, as the longer fit better by chance."""
SCALES = (0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10)
STEPS_OF_MELODIES = (-4, -3, -2, -1, 0, 1, 2, 3, 4)
STEP_SHARES = (0.02, 0.05, 0.12, 0.25, 0.12, 0.25, 0.12, 0.05, 0.02)
LOWEST_NOTE, NOTES = 55, 14
"""Of a melody: from this key on, give or take some, so many notes of its scale."""
NOTE_FRAMES = (1, 2, 2, 3, 3, 4, 6)
BAR_FRAMES, HELD_FRAMES = 10, 3
REPEATED = 3
"""A third of a tune is a melody, which comes again."""
HEARD = 0.97
"""Share of the frames in which the melody is heard; FOLLOWED: of those in which the contour is."""
FOLLOWED, REST = 0.93, 0.07
ACCOMPANYING = 0.2, 0.7
"""How strong chords, and octaves of the melody, are."""
GHOST, CHORD, HIGHER, OCTAVES = 0.2, 0.25, 0.1, (0, 12, 24)


def strangers(tunes: Sequence[PackedTune], shortest: int) -> list[PackedTune]:
    """FEWEST made tunes, as long as these are, but of `shortest` frames at least."""
    middle = float(np.median([len(tune) for tune in tunes])) if tunes else 0.0
    steps = min(round(middle / LENGTH_STEP), LONGEST // LENGTH_STEP)
    return _made(max(steps, -(-shortest // LENGTH_STEP)) * LENGTH_STEP)


@lru_cache(maxsize=4)
def _made(frames: int) -> list[PackedTune]:
    return [PackedTune.of(made_tune(seed, frames)) for seed in range(FEWEST)]


def made_tune(seed: int, frames: int) -> Tune:
    """A melody over chords as `tune_of` would have heard it, roughly."""
    rng = np.random.default_rng((33, seed))
    scale = np.array(SCALES[rng.integers(len(SCALES))])
    lowest = LOWEST_NOTE + int(rng.integers(-5, 6))
    melody, chords = (
        np.resize(part, (frames, *part.shape[1:]))
        for part in _song(rng, scale, lowest, -(-frames // REPEATED))
    )
    peaks = np.zeros((frames, BINS), np.float32)
    heard = _held(rng, frames) < HEARD
    _sound(peaks, melody, np.where(heard, rng.uniform(0.6, 1, frames), 0))
    notes = [
        (melody - 12, GHOST),
        *((note + up, CHORD if up == 0 else HIGHER) for note in chords.T for up in OCTAVES),
    ]
    for keys, share in notes:
        sounds = _held(rng, frames) < share
        _sound(peaks, keys, np.where(sounds, rng.uniform(*ACCOMPANYING, frames), 0))
    followed = np.where(heard & (_held(rng, frames) < FOLLOWED), melody, chords[:, 0])
    return _tune(peaks, np.where(rng.random(frames) < REST, 0, followed))


def _song(
    rng: np.random.Generator, scale: NDArray[np.int64], lowest: int, frames: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(frames,) keys of a melody and (frames, 3) of chords."""
    lengths = rng.choice(NOTE_FRAMES, frames)
    walk = np.cumsum(rng.choice(STEPS_OF_MELODIES, frames, p=STEP_SHARES)) + rng.integers(NOTES)
    turned = np.abs((walk + NOTES) % (2 * NOTES) - NOTES)  # back where the range ends
    melody = lowest + 12 * (turned // len(scale)) + scale[turned % len(scale)]
    roots = np.repeat(rng.integers(0, len(scale), frames), BAR_FRAMES)[:frames]
    degrees = roots[:, None] + [0, 2, 4]
    chords = lowest - 5 + 12 * (degrees // len(scale)) + scale[degrees % len(scale)]
    return np.repeat(melody, lengths)[:frames], chords


def _held(rng: np.random.Generator, frames: int) -> NDArray[np.float64]:
    """Random numbers in 0..1, each of which holds for HELD_FRAMES."""
    return np.repeat(rng.random(-(-frames // HELD_FRAMES)), HELD_FRAMES)[:frames]


def _sound(peaks: FloatArray, keys: NDArray[np.int64], strengths: NDArray[np.float64]) -> None:
    bins = (keys - LOWEST_KEY) * STEPS
    frames = np.flatnonzero((bins >= 0) & (bins < BINS))
    at = frames, bins[frames]
    peaks[at] = np.maximum(peaks[at], strengths[frames])


def _tune(peaks: FloatArray, contour: NDArray[np.int64]) -> Tune:
    blurred = peaks.copy()
    for steps, share in enumerate(BLUR, 1):
        np.maximum(blurred[:, steps:], peaks[:, :-steps] * share, out=blurred[:, steps:])
        np.maximum(blurred[:, :-steps], peaks[:, steps:] * share, out=blurred[:, :-steps])
    blurred *= 255 / np.maximum(blurred.max(axis=1, keepdims=True), 0.1)
    octaves = np.zeros((len(peaks), -(-BINS // CLASSES) * CLASSES), np.float32)
    octaves[:, :BINS] = blurred
    folded = octaves.reshape(len(peaks), -1, CLASSES).max(axis=1)
    steps_up = (np.clip(contour, LOWEST_KEY, LOWEST_KEY + KEYS - 1) - LOWEST_KEY) * CONTOUR_STEPS
    return Tune(
        folded=np.roll(folded, LOWEST_KEY * STEPS, axis=1).astype(np.uint8),
        unfolded=blurred[:, ::STEPS].astype(np.uint8),
        contour=np.where(contour > 0, steps_up + 1, 0).astype(np.uint8),
        tuning=np.zeros(1, np.float32),
    )
