"""EfficientAT's MobileNets with the authors' weights, run by ONNX Runtime.

Schmid et al., "Efficient Large-Scale Audio Tagging Via Transformer-To-CNN Knowledge Distillation",
2023, https://arxiv.org/abs/2211.04772; https://github.com/fschmid56/EfficientAT.
"""

from pathlib import Path
from typing import ClassVar

import numpy as np

from audiosearch.engine.analyzers.base import Encoded, Encoder, EncoderSpec, WeightFile
from audiosearch.engine.analyzers.embedding.audioset import LABELS, read_tag_names
from audiosearch.engine.analyzers.embedding.mobilenet_mels import RATE, log_mels
from audiosearch.engine.analyzers.sessions import open_session
from audiosearch.engine.arrays import FloatArray, Progress
from audiosearch.engine.errors import ModelUnavailable
from audiosearch.engine.extras import needs

EXPORT = "mobilenet.onnx"
RELEASE = "https://github.com/fschmid56/EfficientAT/releases/download/v0.0.1"


def _spec(name: str, title: str, dimension: int, weights: WeightFile) -> EncoderSpec:
    return EncoderSpec(
        name=name,
        version=1,
        title=title,
        dimension=dimension,
        sample_rate=RATE,
        min_ms=100,
        window_ms=10_000,
        hop_ms=5_000,
        licence="MIT",
        source="https://github.com/fschmid56/EfficientAT",
        weights=(weights, LABELS),
    )


class MobileNet(Encoder):
    """Embeddings (the last feature maps' means) and the probabilities of 527 AudioSet tags.

    `width`: of the network's layers, against MobileNetV3-Large. Without the label file the
    embeddings are the same and there are no tags.
    """

    spec: ClassVar[EncoderSpec]
    width: ClassVar[float]

    def __init__(self, models_dir: Path, *, threads: int = 0) -> None:
        if self.state(models_dir) != "ready":
            raise self._not_here()
        folder = models_dir / self.spec.name
        self._session = open_session(folder / EXPORT, threads)
        self.tag_names = read_tag_names(folder / LABELS.name)

    def encode(self, windows: FloatArray) -> Encoded:
        given = {"spectrograms": log_mels(windows)}
        embeddings, probabilities = self._session.run(None, given)
        lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
        unit = (embeddings / np.maximum(lengths, 1e-12)).astype(np.float32)
        return Encoded(unit, probabilities if self.tag_names else None)

    @classmethod
    def state(cls, models_dir: Path) -> str:
        folder = models_dir / cls.spec.name
        if (folder / EXPORT).exists():
            return "ready"
        return "needs export" if (folder / cls.spec.weights[0].name).exists() else "missing"

    @classmethod
    def prepare(cls, models_dir: Path, progress: Progress) -> dict[str, float]:
        folder = models_dir / cls.spec.name
        weights = folder / cls.spec.weights[0].name
        if not weights.exists():
            raise cls._not_here()
        with needs("torch"):
            from audiosearch.engine.analyzers.embedding.mobilenet_network import export_checked

        return export_checked(weights, cls.width, folder / EXPORT, progress)

    @classmethod
    def _not_here(cls) -> ModelUnavailable:
        return ModelUnavailable(
            f"{cls.spec.title} is not here; run: ./manage models pull {cls.spec.name}"
        )


class Mn10(MobileNet):
    """960-d embeddings; published AudioSet mAP 0.471."""

    # GitHub publishes no digest of it. This one stands, the same, in the code of several projects
    # that pin the file.
    width = 1.0
    spec = _spec(
        "mn10",
        "EfficientAT mn10",
        960,
        WeightFile(
            name="mn10_as_mAP_471.pt",
            url=f"{RELEASE}/mn10_as_mAP_471.pt",
            size=19_708_753,
            sha256="0bd7dc2443af498c289a2e739f02ebb515d6aa3fd3ab9db539c86123ae368a4e",
            licence="MIT",
        ),
    )


class Mn04(MobileNet):
    """384-d embeddings; published AudioSet mAP 0.432."""

    width = 0.4
    spec = _spec(
        "mn04",
        "EfficientAT mn04",
        384,
        # Neither size nor digest is known here, so the file is noted as unverified.
        WeightFile(
            name="mn04_as_mAP_432.pt",
            url=f"{RELEASE}/mn04_as_mAP_432.pt",
            licence="MIT",
        ),
    )
