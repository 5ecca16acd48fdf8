"""Voices in the conditions that they are measured in: whole, cut short, and in white noise.

A recording is embedded in every condition while its samples are there, and only the embeddings are
kept, so that a thousand recordings take no more memory than the longest of them.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from apps.voices.embedding import LONGEST_S
from audiosearch.engine.analyzers.base import Encoder
from audiosearch.engine.arrays import FloatArray, Progress
from audiosearch.engine.audio.sandbox import decode
from audiosearch.engine.errors import NoSpeech
from audiosearch.engine.scoring.labels import name_in_errors
from audiosearch.engine.voice.speech import RATE, find_speech

WHOLE = "whole"
CUTS_MS = {f"{ms / 1000:g} s": ms for ms in (500, 1_000, 2_000, 3_000, 5_000)}
NOISES_DB = {f"noise, {db} dB": db for db in (0, 5, 10, 20)}
COHORT_NOISES_DB = {f"cohort, {db} dB": db for db in (0, 10, 20)}


@dataclass(frozen=True)
class Voiceprint:
    """What is kept of a recording in one condition: embedding (d,), a unit vector."""

    recording: str
    speaker: str
    speech_ms: int
    embedding: FloatArray


def embed_conditions(
    recordings: list[tuple[Path, str]], encoder: Encoder, *, cohort: bool, progress: Progress
) -> dict[str, list[Voiceprint]]:
    """Voiceprints of (path, speaker) recordings by condition, in their order.

    Recordings in which no speech is found in a condition are missing in it, those without any in
    all of them. Cuts are the first so many ms of speech; noise is added before speech is sought.
    cohort: embed them for a cohort, in noise of its own, too.
    Raises AudioError, which names the file, for one that cannot be read.
    """
    noises = {name: _WhiteNoise(db, seed=0) for name, db in NOISES_DB.items()}
    if cohort:
        noises |= {name: _WhiteNoise(db, seed=1) for name, db in COHORT_NOISES_DB.items()}
    found = {name: list[Voiceprint]() for name in (WHOLE, *CUTS_MS, *noises)}
    for number, (path, speaker) in enumerate(recordings):
        beat = partial(progress, "decode", number, len(recordings))
        for name, speech in _versions(path, noises, beat):
            progress(name, number, len(recordings))
            embedding = encoder.encode(speech[None]).embeddings[0]
            speech_ms = len(speech) * 1000 // RATE
            found[name].append(Voiceprint(str(path), speaker, speech_ms, embedding))
    return found


class _WhiteNoise:
    """Adds white noise at a ratio to the mean energy of each recording.

    One generator runs through all recordings: the same ones in the same order get the same noise.
    """

    def __init__(self, snr_db: int, seed: int) -> None:
        self.snr_db, self.rng = snr_db, np.random.default_rng([snr_db, seed])

    def add_to(self, samples: FloatArray) -> FloatArray:
        energy = np.mean(np.square(samples, dtype=np.float64))
        noise = self.rng.normal(0, np.sqrt(energy) * 10 ** (-self.snr_db / 20), len(samples))
        return (samples + noise).astype(np.float32)


def _versions(
    path: Path, noises: dict[str, _WhiteNoise], beat: Callable[[], None]
) -> Iterator[tuple[str, FloatArray]]:
    """Each condition in which there is speech, and the speech in it."""
    with name_in_errors(path):
        samples = decode(path, RATE, end_ms=LONGEST_S * 1000, beat=beat)
    try:
        speech = find_speech(samples).samples
    except NoSpeech:  # nor is it disturbed, so that it uses up no noise
        return
    yield WHOLE, speech
    for name, length_ms in CUTS_MS.items():
        yield name, speech[: length_ms * RATE // 1000]
    for name, noise in noises.items():
        noisy = noise.add_to(samples)
        try:
            speech = find_speech(noisy).samples
        except NoSpeech:
            continue
        yield name, speech
