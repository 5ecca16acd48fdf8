"""Resemblyzer: a 256-d voice encoder whose trained weights come with its package.

Wan et al., "Generalized End-to-End Loss for Speaker Verification", 2018,
https://arxiv.org/abs/1710.10467; weights and features of
https://github.com/resemble-ai/Resemblyzer. Its package is installed without its dependencies, and
nothing of it is imported: only the weight file is read, once, to export it.
"""

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import numpy as np

from audiosearch.engine.analyzers.base import Encoded, Encoder, EncoderSpec
from audiosearch.engine.analyzers.sessions import open_session
from audiosearch.engine.analyzers.speaker.resemblyzer_frames import (
    FRAMES,
    HOP,
    RATE,
    power_spectrogram,
)
from audiosearch.engine.arrays import FloatArray, Progress
from audiosearch.engine.errors import ModelUnavailable

STEP = 77  # frames between partial utterances: 1.3 of them a second
COVERED = 0.75  # share of the last one that must be there
SHORTEST = FRAMES * HOP
EXPORT = "resemblyzer.onnx"
BATCH = 64


class Resemblyzer(Encoder):
    """256-d embeddings of speech: the mean over partial utterances of 1.6 s, as unit vectors.

    What is shorter than 1.6 s is repeated.
    """

    spec = EncoderSpec(
        name="resemblyzer",
        version=1,
        kind="speaker",
        title="Resemblyzer",
        dimension=256,
        sample_rate=RATE,
        min_ms=100,
        window_ms=60_000,
        hop_ms=60_000,
        licence="Apache-2.0",
        source="https://pypi.org/project/Resemblyzer/0.1.4/",
    )

    def __init__(self, models_dir: Path, *, threads: int = 0) -> None:
        path = models_dir / self.spec.name / EXPORT
        if not path.exists():
            _export_elsewhere(path)
        self._session = open_session(path, threads)

    def encode(self, windows: FloatArray) -> Encoded:
        """Each window is an utterance of any length; speech only, see `find_speech`."""
        if windows.shape[1] < SHORTEST:
            windows = np.stack([np.resize(window, SHORTEST) for window in windows])
        starts = _starts(windows.shape[1])
        parts = [
            power[start : start + FRAMES]
            for power in (power_spectrogram(window, starts[-1] + FRAMES) for window in windows)
            for start in starts
        ]
        partials = np.concatenate(
            [
                self._session.run(None, {"power": np.stack(parts[at : at + BATCH])})[0]
                for at in range(0, len(parts), BATCH)
            ]
        )
        means = partials.reshape(len(windows), len(starts), -1).mean(axis=1)
        unit = means / np.linalg.norm(means, axis=1, keepdims=True)
        return Encoded(unit.astype(np.float32))

    @classmethod
    def state(cls, models_dir: Path) -> str:
        try:
            return "ready" if weights_path().exists() else "missing"
        except ModelUnavailable:
            return "missing"

    @classmethod
    def prepare(cls, models_dir: Path, progress: Progress) -> dict[str, float]:
        from audiosearch.engine.analyzers.speaker.resemblyzer_export import export

        export(weights_path(), models_dir / cls.spec.name / EXPORT)
        return {}


def weights_path() -> Path:
    """The weight file inside the installed package. Raises ModelUnavailable without it."""
    try:
        package = importlib.metadata.distribution("Resemblyzer")
    except importlib.metadata.PackageNotFoundError as error:
        raise ModelUnavailable(
            "The package Resemblyzer, which carries the weights, is not installed: "
            f"{sys.executable} -m pip install --no-deps -r requirements-bare.txt"
        ) from error
    return Path(str(package.locate_file("resemblyzer/pretrained.pt")))


def _export_elsewhere(path: Path) -> None:
    """In a process of its own, as it needs the package onnx and this one may be a web server."""
    path.parent.mkdir(parents=True, exist_ok=True)
    module = "audiosearch.engine.analyzers.speaker.resemblyzer_export"
    done = subprocess.run(
        [sys.executable, "-m", module, str(weights_path()), str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise ModelUnavailable(f"Resemblyzer could not be exported: {last}")


def _starts(samples: int) -> list[int]:
    """First frames of the partial utterances; the last may reach past the end."""
    frames = -(-(samples + 1) // HOP)
    starts = list(range(0, max(1, frames - FRAMES + STEP + 1), STEP))
    covered = (samples - starts[-1] * HOP) / (FRAMES * HOP)
    return starts[:-1] if covered < COVERED and len(starts) > 1 else starts
