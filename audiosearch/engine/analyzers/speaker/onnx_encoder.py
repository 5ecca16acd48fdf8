"""Voice encoders that are one ONNX file, from samples to embedding."""

from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from audiosearch.engine.analyzers.base import Encoded, Encoder, EncoderSpec
from audiosearch.engine.analyzers.sessions import open_session
from audiosearch.engine.arrays import FloatArray
from audiosearch.engine.errors import ModelUnavailable

RATE = 16_000
SHORTEST = RATE  # samples; what is shorter is repeated
LONGEST = 20 * RATE  # samples; what is longer is heard in parts, because memory grows with length
EXPORT = "encoder.onnx"


def voice_spec(**told: Any) -> EncoderSpec:
    """The declared face of such an encoder; told: what differs from one to the other."""
    longest_ms = LONGEST * 1000 // RATE
    return EncoderSpec(
        sample_rate=RATE,
        min_ms=100,
        window_ms=longest_ms,
        hop_ms=longest_ms,
        kind="speaker",
        **told,
    )


class WaveformEncoder(Encoder):
    """Unit vectors of speech from an ONNX file in `models_dir/<name>/`."""

    export: ClassVar[str] = EXPORT

    def __init__(self, models_dir: Path, *, threads: int = 0) -> None:
        path = models_dir / self.spec.name / self.export
        if not path.exists():
            raise ModelUnavailable(
                f"{self.spec.title} is not here; run: ./manage models pull {self.spec.name}"
            )
        self._session = open_session(path, threads)

    def encode(self, windows: FloatArray) -> Encoded:
        """Each window is an utterance of any length; speech only, see `find_speech`."""
        if windows.shape[1] < SHORTEST:
            windows = np.stack([np.resize(window, SHORTEST) for window in windows])
        count = -(-windows.shape[1] // LONGEST)
        length = windows.shape[1] // count
        parts = [
            self._unit(windows[:, number * length : (number + 1) * length])
            for number in range(count)
        ]
        return Encoded(parts[0] if count == 1 else _unit(np.mean(parts, axis=0)))

    @classmethod
    def state(cls, models_dir: Path) -> str:
        folder = models_dir / cls.spec.name
        if (folder / cls.export).exists():
            return "ready"
        files = [folder / file.name for file in cls.spec.weights]
        return "needs export" if files and all(file.exists() for file in files) else "missing"

    def _unit(self, waveforms: FloatArray) -> FloatArray:
        return _unit(self._session.run(None, {"waveforms": np.ascontiguousarray(waveforms)})[0])


def _unit(embeddings: FloatArray) -> FloatArray:
    lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
    return np.asarray(embeddings / np.maximum(lengths, 1e-12), dtype=np.float32)
