"""What sounds in a recording, as basic-pitch hears it: a second opinion beside `salience`.

R. Bittner, J. Bosch, D. Rubinstein, G. Meseguer-Brocal and S. Ewert, A lightweight
instrument-agnostic model for polyphonic note transcription and multipitch estimation, ICASSP 2022.
Its network is in the folder `basic_pitch`, as Spotify publishes it, with its licence and notice. Of
its outputs the contour is used: how likely each pitch sounds, in thirds of a semitone.
"""

from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiosearch.engine.analyzers.sessions import open_session
from audiosearch.engine.arrays import FloatArray
from audiosearch.engine.tunes.salience import BINS, LOWEST_KEY, SAMPLE_RATE, halved, sharpened

MODEL = Path(__file__).with_name("basic_pitch") / "nmp.onnx"
INPUT, CONTOUR = "serving_default_input_2:0", "StatefulPartitionedCall:0"
MODEL_RATE = 22_050
WINDOW, MODEL_HOP = 43_844, 256
"""Samples of a window, of which 172 frames are made."""
MARGIN_FRAMES, OWN_FRAMES = 15, 141
"""Of a window's frames, those at its beginning that are left out, and those that are taken then:
at the ends a window knows too little of what is around."""
LEAD = MARGIN_FRAMES * MODEL_HOP
FIRST_BIN = 3 * (LOWEST_KEY - 21) + 1
"""Of its 264, three a semitone, the middle one of the lowest key of a piano is the second."""
PEAKS_PER_SECOND = 10
PEAK_SAMPLES = MODEL_RATE // PEAKS_PER_SECOND


class SecondOpinion:
    """The network, ready to run on one thread; for many recordings, one after another or at once.

    Raises ModelUnavailable when its file is damaged.
    """

    def __init__(self) -> None:
        self._session: Any = None
        self._loading = Lock()

    def likelihoods(self, window: FloatArray) -> FloatArray:
        """(OWN_FRAMES, BINS) in 0..1 of the middle of WINDOW samples at MODEL_RATE."""
        with self._loading:
            if self._session is None:
                self._session = open_session(MODEL, 1)
        (found,) = self._session.run([CONTOUR], {INPUT: window[None, :, None]})
        own = slice(MARGIN_FRAMES, MARGIN_FRAMES + OWN_FRAMES)
        return np.asarray(found[0, own, FIRST_BIN : FIRST_BIN + BINS], np.float32)


class SecondOpinionStream:
    """What it says of one recording; holds the samples of a window and likelihoods of a second."""

    def __init__(self, opinion: SecondOpinion) -> None:
        import soxr

        self._opinion = opinion
        self._resampler = soxr.ResampleStream(SAMPLE_RATE, MODEL_RATE, 1, dtype="float32")
        self._samples = np.zeros(LEAD, np.float32)
        self._frames = 0
        self._likelihoods = np.zeros((0, BINS), np.float32)
        self._sharp: list[NDArray[np.uint8]] = []

    def feed(self, block: FloatArray) -> None:
        """Take the next samples, (n,) at SAMPLE_RATE; any n, 0 too."""
        self._take(self._resampler.resample_chunk(np.asarray(block, np.float32)))

    def finish(self, frames: int) -> NDArray[np.uint8]:
        """(frames, BINS) of what was fed, five a second, 255 the strongest of each moment."""
        self._take(self._resampler.resample_chunk(np.zeros(0, np.float32), last=True))
        while sum(map(len, self._sharp)) < frames:
            self._take(np.zeros(OWN_FRAMES * MODEL_HOP, np.float32))
        return np.concatenate([*self._sharp, np.zeros((0, BINS), np.uint8)])[:frames]

    def _take(self, samples: FloatArray) -> None:
        self._samples = np.concatenate([self._samples, samples])
        while len(self._samples) >= WINDOW:
            self._pool(self._opinion.likelihoods(self._samples[:WINDOW]))
            self._samples = self._samples[OWN_FRAMES * MODEL_HOP :]

    def _pool(self, likelihoods: FloatArray) -> None:
        """The mean of the frames of each tenth of a second, its peaks sharpened, in pairs."""
        waiting = np.concatenate([self._likelihoods, likelihoods])
        first = sum(map(len, self._sharp)) * 2
        whole = (self._frames + len(waiting)) * MODEL_HOP // PEAK_SAMPLES // 2 * 2 - first
        edges = -(-np.arange(first, first + whole + 1) * PEAK_SAMPLES // MODEL_HOP) - self._frames
        sums = np.add.reduceat(waiting[: edges[-1]], edges[:-1], axis=0)
        means = np.asarray(sums / np.diff(edges)[:, None], np.float32)
        self._sharp.append(halved(sharpened(means)))
        self._likelihoods = waiting[edges[-1] :]
        self._frames += int(edges[-1])
