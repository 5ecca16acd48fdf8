"""PANNs Cnn14: the architecture of panns_inference, the published checkpoint, run by ONNX Runtime.

Kong et al., "PANNs: Large-Scale Pretrained Audio Neural Networks for Audio Pattern Recognition",
2020, https://arxiv.org/abs/1912.10211.
"""

import csv
import importlib
import importlib.metadata
import os
import sys
import types
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from audiosearch.engine.encoders.base import (
    Encoded,
    Encoder,
    EncoderSpec,
    FloatArray,
    Progress,
    WeightFile,
)
from audiosearch.engine.errors import ModelUnavailable

RATE = 32000
EXPORT = "cnn14.onnx"
CLASSES = 527
SHORTEST = 31 * 320  # samples; fewer frames than 32 do not survive five poolings by two
MIN_COSINE = 0.9999
MAX_RELATIVE_DIFFERENCE = 1e-3
CHECKPOINT = WeightFile(
    name="Cnn14_mAP=0.431.pth",
    url="https://zenodo.org/record/3987831/files/Cnn14_mAP%3D0.431.pth?download=1",
    size=327_428_481,
    sha256="0dc499e40e9761ef5ea061ffc77697697f277f6a960894903df3ada000e34b31",
    licence="CC BY 4.0",
)
LABELS = WeightFile(
    name="class_labels_indices.csv",
    url="http://storage.googleapis.com/us_audioset/youtube_corpus/v1/csv/class_labels_indices.csv",
    size=14_675,
    sha256="cdd1049833c4b86127c2773ac0d14a2754b6a6d0d1798002ed5c66e699708429",
    licence="CC BY 4.0",
)


class Cnn14(Encoder):
    """2048-d embeddings and 527 AudioSet tags."""

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
        import onnxruntime

        path = models_dir / self.spec.name / EXPORT
        if not path.exists():
            raise ModelUnavailable("PANNs is not here; run: ./manage models pull panns_cnn14")
        self._session = _session(onnxruntime, path, threads)
        self.tag_names = _tag_names(models_dir / self.spec.name / LABELS.name)

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
            raise ModelUnavailable("PANNs is not here; run: ./manage models pull panns_cnn14")
        model = load_torch_model(folder / CHECKPOINT.name)
        draft = folder / f"{EXPORT}.{os.getpid()}.part"
        try:
            progress("export", 0, 2)
            _export(model, draft)
            progress("compare with PyTorch", 1, 2)
            found = compare(model, draft)
            _refuse_unfaithful(found)
            draft.replace(folder / EXPORT)
        finally:
            draft.unlink(missing_ok=True)
        progress("compare with PyTorch", 2, 2)
        return found


def _session(onnxruntime: Any, path: Path, threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or os.cpu_count() or 1
    return onnxruntime.InferenceSession(
        str(path), options, providers=onnxruntime.get_available_providers()
    )


def _tag_names(path: Path) -> tuple[str, ...]:
    """AudioSet's display names; none when the label file is not there."""
    if not path.exists():
        return ()
    with path.open(newline="", encoding="utf-8") as file:
        names = tuple(row["display_name"] for row in csv.DictReader(file))
    return names if len(names) == CLASSES else ()


def load_torch_model(checkpoint: Path) -> Any:
    """Cnn14 in PyTorch with the checkpoint's weights, in evaluation mode.

    Raises ModelUnavailable when the file is not such a checkpoint.
    """
    import pickle

    import torch

    model = build_torch_model()
    try:
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)["model"]
        model.load_state_dict(state)
    except (RuntimeError, KeyError, TypeError, EOFError, pickle.UnpicklingError) as error:
        raise ModelUnavailable(f"{checkpoint.name} does not hold the weights of Cnn14.") from error
    return model.eval()


def build_torch_model() -> Any:
    """Cnn14 as published, with fresh weights."""
    return _panns_models().Cnn14(
        sample_rate=RATE,
        window_size=1024,
        hop_size=320,
        mel_bins=64,
        fmin=50,
        fmax=14000,
        classes_num=CLASSES,
    )


def _panns_models() -> types.ModuleType:
    """`panns_inference.models`, without the package's own `__init__`.

    That one calls wget and writes to the home folder as soon as it is imported; a bare package of
    another name with the same search path gives us the module alone.
    """
    name = "_panns_inference_bare"
    if f"{name}.models" in sys.modules:
        return sys.modules[f"{name}.models"]
    located = importlib.metadata.distribution("panns-inference").locate_file("panns_inference")
    package = types.ModuleType(name)
    package.__path__ = [str(located)]
    sys.modules[name] = package
    return importlib.import_module(f"{name}.models")


def _export(model: Any, path: Path) -> None:
    import torch

    class Heads(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, windows: Any) -> tuple[Any, Any]:
            found = self.model(windows)
            return found["embedding"], found["clipwise_output"]

    axes = {"windows": {0: "batch", 1: "samples"}}
    with warnings.catch_warnings():  # the tracer's doubts are settled by the comparison after it
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Heads().eval(),
            (torch.randn(2, 2 * RATE) * 0.1,),
            str(path),
            input_names=["windows"],
            output_names=["embedding", "probabilities"],
            dynamic_axes={**axes, "embedding": {0: "batch"}, "probabilities": {0: "batch"}},
            opset_version=17,
            dynamo=False,
        )


def compare(model: Any, path: Path) -> dict[str, float]:
    """Largest difference and smallest cosine between the export and PyTorch.

    Over noise and tones of several lengths and batch sizes; differences are relative to the
    largest value of the output.
    """
    import onnxruntime
    import torch

    session = _session(onnxruntime, path, 0)
    rng = np.random.default_rng(0)
    found = {"cosine": 1.0, "embedding difference": 0.0, "probability difference": 0.0}
    for batch, samples in ((1, SHORTEST), (3, RATE), (2, 5 * RATE), (1, 10 * RATE)):
        hz = rng.uniform(100, 4000, (batch, 1))
        tones = 0.3 * np.sin(2 * np.pi * hz * np.arange(samples) / RATE)
        windows = (tones + rng.normal(0, 0.05, (batch, samples))).astype(np.float32)
        with torch.no_grad():
            outputs = model(torch.from_numpy(windows))
        expected = [outputs[name].numpy() for name in ("embedding", "clipwise_output")]
        given = session.run(None, {"windows": windows})
        for kind, ours, theirs in zip(("embedding", "probability"), given, expected, strict=True):
            difference = float(np.abs(ours - theirs).max() / max(np.abs(theirs).max(), 1e-12))
            name = f"{kind} difference"
            found[name] = max(found[name], difference)
        lengths = np.linalg.norm(given[0], axis=1) * np.linalg.norm(expected[0], axis=1)
        cosine = (given[0] * expected[0]).sum(axis=1) / np.maximum(lengths, 1e-12)
        found["cosine"] = min(found["cosine"], float(cosine.min()))
    return found


def _refuse_unfaithful(found: dict[str, float]) -> None:
    """Raise ModelUnavailable unless the export says what PyTorch says."""
    worst = max(found["embedding difference"], found["probability difference"])
    if not (found["cosine"] >= MIN_COSINE and worst <= MAX_RELATIVE_DIFFERENCE):
        raise ModelUnavailable(
            f"The export is not faithful to PyTorch (cosine {found['cosine']:.6f}, largest "
            f"difference {worst:.2e}), so it is not used."
        )
