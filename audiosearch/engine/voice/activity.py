"""How surely somebody speaks, every 32 ms: Silero's network for voice activity.

https://github.com/snakers4/silero-vad (MIT). Its package is installed without its dependencies, and
nothing of it is imported: only its ONNX file is run. Trained on speech in thousands of languages
and on noise, it tells speech from rain, engines and music, which WebRTC's detector does not.
"""

import importlib.metadata
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from audiosearch.engine.analyzers.sessions import open_session
from audiosearch.engine.arrays import FloatArray
from audiosearch.engine.digests import sha256_of
from audiosearch.engine.errors import ModelUnavailable

RATE = 16_000
HOP = 512  # samples, 32 ms
CONTEXT = 64  # samples before each frame that the network is given with it
HIDDEN = (1, 1, 128)
AT_ONCE = 512  # frames in one call, 16 s
MODEL = "silero_vad/data/silero_vad_16k_sequence.onnx"
SHA256 = "9ccdacc4719d8aa7e45a77536bfabec45a03ba1f2fad5e241ab4060b24238a85"  # of 6.2.3
INSTALL = f"{sys.executable} -m pip install --no-deps --force-reinstall -r requirements-bare.txt"

# In frames of 32 ms. Silero's own defaults: speech goes on above 0.35, and 0.25 s are the least. It
# asks for 0.5, which sneezes, barks and saws get past, too: 14 of 240 sounds of ESC-10, and one of
# them past 0.9, at which LibriSpeech loses nothing (`python -m benchmarks.speech`).
LASTS, SURE, LEAST = 0.35, 0.9, 8
GAP = 16  # 0.5 s: a shorter pause divides no speech, and a short word counts with what is near
AROUND = 9  # 0.3 s of what is before and after: soft beginnings and ends


class Activity:
    """Probabilities of speech in one stream, which comes in pieces of any length.

    Raises ModelUnavailable when the network is not installed, or not as it was published.
    """

    def __init__(self) -> None:
        self._session = _session()
        self._hidden = self._cell = np.zeros(HIDDEN, np.float32)
        self._left = np.zeros(CONTEXT, np.float32)  # the context of the next frame, and its start

    def feed(self, samples: FloatArray) -> FloatArray:
        """(frames,) 0..1 of the frames that (n,) float32 mono at 16 kHz complete."""
        samples = np.concatenate([self._left, samples.astype(np.float32, copy=False)])
        frames = (len(samples) - CONTEXT) // HOP
        self._left = samples[frames * HOP :].copy()
        if not frames:
            return np.zeros(0, np.float32)
        windows = sliding_window_view(samples, CONTEXT + HOP)[::HOP]
        return np.concatenate(
            [self._run(windows[at : at + AT_ONCE]) for at in range(0, frames, AT_ONCE)]
        )

    def finish(self) -> FloatArray:
        """(1,) or (0,): of the last frame, silence being put behind it."""
        missing = -(len(self._left) - CONTEXT) % HOP
        return self.feed(np.zeros(missing, np.float32))

    def _run(self, windows: FloatArray) -> FloatArray:
        found, self._hidden, self._cell = self._session.run(
            ["speech_probs", "hn", "cn"],
            {"input": np.ascontiguousarray(windows), "h": self._hidden, "c": self._cell},
        )
        return np.asarray(found, np.float32).reshape(-1)


def speech_probabilities(samples: FloatArray) -> FloatArray:
    """(frames,) 0..1 for each 32 ms that begin in (n,) float32 mono at 16 kHz."""
    activity = Activity()
    return np.concatenate([activity.feed(samples), activity.finish()])


def spoken(probabilities: FloatArray) -> NDArray[np.bool_]:
    """(frames,) whether each belongs to speech, or is within 0.3 s of it.

    Speech goes on while the probability is above 0.35, pauses of 0.5 s aside, if 0.25 s of it are
    above 0.9.
    """
    found = np.zeros(len(probabilities), dtype=bool)
    edges = np.flatnonzero(np.diff(np.pad((probabilities >= LASTS).astype(np.int8), 1)))
    apart = edges[2::2] - edges[1:-1:2] > GAP
    kept = np.r_[edges[:1], edges[1:-1].reshape(-1, 2)[apart].ravel(), edges[-1:]]
    for start, end in kept.reshape(-1, 2):
        if np.count_nonzero(probabilities[start:end] >= SURE) >= LEAST:
            found[max(start - AROUND, 0) : end + AROUND] = True
    return found


def model_path() -> Path:
    """The network in the installed package. Raises ModelUnavailable without it."""
    try:
        package = importlib.metadata.distribution("silero-vad")
    except importlib.metadata.PackageNotFoundError as error:
        raise ModelUnavailable(
            "The package silero-vad, which tells speech from other sound, is not installed: "
            f"{INSTALL}"
        ) from error
    return Path(str(package.locate_file(MODEL)))


@cache
def _session() -> Any:
    """One for all threads of this process, on one core: it is waited for less than decoding is."""
    path = model_path()
    try:
        digest = sha256_of(path)
    except OSError as error:
        raise ModelUnavailable(
            f"{path} cannot be read ({error}); install it anew: {INSTALL}"
        ) from error
    if digest != SHA256:
        raise ModelUnavailable(
            f"{path} is not as it was published with silero-vad 6.2.3; install it anew: {INSTALL}"
        )
    return open_session(path, threads=1)
