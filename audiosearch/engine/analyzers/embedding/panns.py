"""PANNs Cnn14: the architecture of panns_inference, the published checkpoint, run by ONNX Runtime.

Kong et al., "PANNs: Large-Scale Pretrained Audio Neural Networks for Audio Pattern Recognition",
2020, https://arxiv.org/abs/1912.10211.
"""

from pathlib import Path

import numpy as np

from audiosearch.engine.analyzers.base import Encoded, Encoder, EncoderSpec, WeightFile
from audiosearch.engine.analyzers.embedding.audioset import LABELS, read_tag_names
from audiosearch.engine.analyzers.embedding.cnn14 import RATE, SHORTEST
from audiosearch.engine.analyzers.sessions import open_session
from audiosearch.engine.arrays import FloatArray, Progress
from audiosearch.engine.errors import ModelUnavailable
from audiosearch.engine.extras import needs

EXPORT = "cnn14.onnx"
CHECKPOINT = WeightFile(
    name="Cnn14_mAP=0.431.pth",
    url="https://zenodo.org/record/3987831/files/Cnn14_mAP%3D0.431.pth?download=1",
    size=327_428_481,
    sha256="0dc499e40e9761ef5ea061ffc77697697f277f6a960894903df3ada000e34b31",
    licence="CC BY 4.0",
)


class Cnn14(Encoder):
    """2048-d embeddings and the probabilities of 527 AudioSet tags.

    Without the label file the embeddings are the same and there are no tags.
    """

    spec = EncoderSpec(
        name="panns_cnn14",
        version=1,
        title="PANNs Cnn14",
        dimension=2048,
        sample_rate=RATE,
        min_ms=100,
        window_ms=10_000,
        hop_ms=5_000,
        licence="CC BY 4.0",
        source="https://zenodo.org/record/3987831",
        weights=(CHECKPOINT, LABELS),
    )

    def __init__(self, models_dir: Path, *, threads: int = 0) -> None:
        folder = models_dir / self.spec.name
        if self.state(models_dir) != "ready":
            raise _not_here()
        self._session = open_session(folder / EXPORT, threads)
        self.tag_names = read_tag_names(folder / LABELS.name)

    def encode(self, windows: FloatArray) -> Encoded:
        if windows.shape[1] < SHORTEST:  # looped, because silence would be another sound
            repeats = -(-SHORTEST // windows.shape[1])
            windows = np.tile(windows, (1, repeats))[:, :SHORTEST]
        embeddings, probabilities = self._session.run(None, {"windows": windows})
        lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
        unit = (embeddings / np.maximum(lengths, 1e-12)).astype(np.float32)
        return Encoded(unit, probabilities if self.tag_names else None)

    @classmethod
    def state(cls, models_dir: Path) -> str:
        folder = models_dir / cls.spec.name
        if (folder / EXPORT).exists():
            return "ready"
        return "needs export" if (folder / CHECKPOINT.name).exists() else "missing"

    @classmethod
    def prepare(cls, models_dir: Path, progress: Progress) -> dict[str, float]:
        folder = models_dir / cls.spec.name
        if not (folder / CHECKPOINT.name).exists():
            raise _not_here()
        with needs("torch"):
            from audiosearch.engine.analyzers.embedding.panns_export import export_checked

            return export_checked(folder / CHECKPOINT.name, folder / EXPORT, progress)


def _not_here() -> ModelUnavailable:
    return ModelUnavailable(
        f"{Cnn14.spec.title} is not here; run: ./manage models pull {Cnn14.spec.name}"
    )
