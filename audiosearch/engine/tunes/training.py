"""How the projection is trained: by canonical correlation, on windows of the same moment.

A window of a recording is paired with the same moment as it is hummed, and as the predominant
contour of another rendering has it. What is found are the directions in which both agree most (H.
Hotelling, Relations between two sets of variates, Biometrika 28, 1936). Hums are simulated as
lines of pitch, so that no sound of theirs is needed.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from audiosearch.engine.arrays import FloatArray, Progress
from audiosearch.engine.tunes.analysis import tune_of
from audiosearch.engine.tunes.patches import intervals, query_patches, recording_features
from audiosearch.engine.tunes.projection import DIMENSION, Projection
from audiosearch.engine.tunes.representation import FRAMES_PER_SECOND, POOLED, Tune
from audiosearch.engine.tunes.training_songs import Notes, Rng, made_song, played
from audiosearch.engine.tunes.windows import WINDOW_FRAMES

FIRST_SEED = 1_000_000
"""Of songs; those below are for others."""
SONGS = 200
HUMS, WINDOWS_A_SONG = 6, 100
VERSION_SHARE = 0.25
STRETCH, MISPLACED_S = (0.93, 1.07), 0.25
"""How far off a window of a query is from that of a recording."""
SHRINKAGE, WEIGHT = 0.05, 0.5
"""Added to each variance, in means of them; and the power of a correlation that its direction
weighs."""
HUM_FRAMES = FRAMES_PER_SECOND * POOLED
"""50 a second."""


class Skill(NamedTuple):
    """Semitones by note, share of a note's length, semitones of drift in 10 s, notes left out."""

    pitch: float
    time: float
    drift: float
    left_out: float


SKILLS = Skill(0.15, 0.08, 0.1, 0.02), Skill(0.35, 0.15, 0.3, 0.04), Skill(0.7, 0.25, 0.6, 0.08)
SKILL_SHARES = 0.25, 0.5, 0.25


class Line(NamedTuple):
    """(n,) pitches where something is voiced, MIDI numbers, and the seconds they are at."""

    keys: FloatArray
    seconds: FloatArray


def train(progress: Progress, *, songs: int = SONGS) -> Projection:
    """The projection, the same whenever it is made; it takes minutes.

    progress: is told how many songs are done.
    """
    queries, recordings = [], []
    for number in range(songs):
        asked, heard = song_pairs(number)
        queries.append(asked)
        recordings.append(heard)
        progress("Training", number + 1, songs)
    return correlated(np.concatenate(recordings), np.concatenate(queries))


def song_pairs(number: int) -> tuple[FloatArray, FloatArray]:
    """Features of windows of a song as they are asked for, and of the same in a recording of it."""
    rng = np.random.default_rng((33, FIRST_SEED + number))
    song = made_song(rng)
    tune = tune_of(played(song, rng))
    version = tune_of(played(song, rng, int(rng.integers(-5, 6))))
    hums = [
        hummed(song.melody, rng, SKILLS[rng.choice(len(SKILLS), p=SKILL_SHARES)])
        for _ in range(HUMS)
    ]
    contour = _contour(version)
    patches, begins = [], []
    for _ in range(WINDOWS_A_SONG):
        of_version = rng.random() < VERSION_SHARE
        line = contour if of_version else hums[rng.integers(HUMS)]
        for keys, begin in _window(line, rng, len(tune)):
            patches.append(query_patches(keys[None]))
            begins.append(begin)
    heard = recording_features(tune, np.array(begins, np.int64), WINDOW_FRAMES)
    return intervals(np.concatenate(patches)), heard


def correlated(recordings: FloatArray, queries: FloatArray) -> Projection:
    """The directions in which features of both, (n, m), correlate most."""
    whitened = [_whitening(rows) for rows in (recordings, queries)]
    across = recordings.T.astype(np.float64) @ queries / len(queries)
    left, shares, right = np.linalg.svd(whitened[0] @ across @ whitened[1])
    weights = shares[:DIMENSION] ** WEIGHT
    return Projection(
        np.asarray(whitened[0] @ left[:, :DIMENSION] * weights, np.float32),
        np.asarray(whitened[1] @ right[:DIMENSION].T * weights, np.float32),
    )


def _whitening(rows: FloatArray) -> NDArray[np.float64]:
    """The inverse root of their covariance, each variance with SHRINKAGE means added."""
    covariance = rows.T.astype(np.float64) @ rows / len(rows)
    variances, axes = np.linalg.eigh(covariance)
    variances = np.maximum(variances, 0) + SHRINKAGE * variances.mean()
    return np.asarray((axes / np.sqrt(variances)) @ axes.T, np.float64)


def _window(line: Line, rng: Rng, frames: int) -> Iterator[tuple[FloatArray, int]]:
    """A stretch of a line and the frame of the recording that it begins at; none where one of both
    is too short."""
    size = round(WINDOW_FRAMES * rng.uniform(*STRETCH))
    if len(line.keys) <= size:
        return
    first = int(rng.integers(0, len(line.keys) - size))
    seconds = float(line.seconds[first]) + rng.uniform(-MISPLACED_S, MISPLACED_S)
    begin = round((seconds * FRAMES_PER_SECOND) - 0.5)
    if 0 <= begin <= frames - WINDOW_FRAMES:
        yield line.keys[first : first + size], begin


def _contour(tune: Tune) -> Line:
    keys = tune.contour_keys
    heard = np.flatnonzero(~np.isnan(keys))
    return Line(keys[heard], ((heard + 0.5) / FRAMES_PER_SECOND).astype(np.float32))


def hummed(notes: Notes, rng: Rng, skill: Skill) -> Line:
    """A melody as somebody of this skill hums it at its own tempo, five pitches a second."""
    size = round((notes[-1][0] + notes[-1][1]) * HUM_FRAMES)
    keys, voiced = np.zeros(size), np.zeros(size, bool)
    before = notes[0][2]
    for number, (start, length, key) in enumerate(notes):
        if number > 2 and rng.random() < skill.left_out:
            continue
        octave = rng.choice((-12, 12)) if rng.random() < skill.left_out / 2 else 0
        sung = key + rng.normal(0, skill.pitch) + octave
        begins = max(0.0, start + rng.normal(0, skill.time * min(length, 0.3)))
        lasts = length * np.exp(rng.normal(0, skill.time))
        following = notes[number + 1][0] if number + 1 < len(notes) else start + length
        ends = min(max(following - 0.03, begins + 0.05), begins + 1.1 * lasts)
        own = slice(round(begins * HUM_FRAMES), round(ends * HUM_FRAMES))
        glide = np.clip(1 - np.arange(len(keys[own])) / 3, 0, 1) ** 2
        keys[own] = sung + (before - sung) * glide
        voiced[own] = True
        before = sung
    keys += np.cumsum(rng.normal(0, skill.drift / np.sqrt(10 * HUM_FRAMES), size))
    heard = np.flatnonzero(voiced)
    pooled = heard[: len(heard) // POOLED * POOLED].reshape(-1, POOLED)
    medians = np.median(keys[pooled], axis=1).astype(np.float32)
    return Line(medians, (pooled.mean(axis=1) / HUM_FRAMES).astype(np.float32))
