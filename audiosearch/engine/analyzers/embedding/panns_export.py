"""The one-time step from the published Cnn14 checkpoint to ONNX, with the proof that both agree.

Imports PyTorch, so only `Cnn14.prepare` (and the tests) import this module.
"""

import importlib
import importlib.metadata
import sys
import types
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from audiosearch.engine.analyzers.embedding.audioset import CLASSES
from audiosearch.engine.analyzers.embedding.cnn14 import RATE, SHORTEST
from audiosearch.engine.analyzers.embedding.parity import (
    Agreement,
    agreement,
    sounds,
    write_faithful,
)
from audiosearch.engine.analyzers.sessions import open_session
from audiosearch.engine.analyzers.torch_files import UNREADABLE
from audiosearch.engine.arrays import FloatArray, Progress
from audiosearch.engine.errors import ModelUnavailable

OUTPUTS = {"embedding": "embedding", "probability": "clipwise_output"}
COMPARED = ((1, SHORTEST), (3, RATE), (2, 5 * RATE), (1, 10 * RATE))  # batch, samples


def export_checked(checkpoint: Path, path: Path, progress: Progress) -> dict[str, float]:
    """Write the checkpoint as ONNX to `path`, which changes only once the comparison has passed.

    Returns the smallest cosine and the largest difference of each output. Raises ModelUnavailable
    when the checkpoint is not one of Cnn14, the export is not faithful to it, or cannot be written.
    """
    model = load_torch_model(checkpoint)
    return write_faithful(path, progress, partial(export, model), partial(compare, model))


def load_torch_model(checkpoint: Path) -> Any:
    """Cnn14 in PyTorch with the checkpoint's weights, in evaluation mode.

    Raises ModelUnavailable when the file is not such a checkpoint.
    """
    model = build_torch_model()
    try:
        model.load_state_dict(read_weights(checkpoint))
    except UNREADABLE as error:
        raise ModelUnavailable(f"{checkpoint.name} does not hold the weights of Cnn14.") from error
    return model.eval()


def read_weights(checkpoint: Path) -> Any:
    """The state dict of a checkpoint, without running any code the file may carry.

    PANNs' training script keeps NumPy arrays beside the weights (https://github.com/autrainer/
    autrainer/issues/66), so those are let through, under NumPy 1's names for them as well.
    """
    from numpy._core import multiarray

    arrays: list[Any] = [np.ndarray, np.dtype, *(type(np.dtype(kind)) for kind in "?bhilqfd")]
    for name in ("_reconstruct", "scalar"):
        arrays += [
            (getattr(multiarray, name), f"numpy.{core}.multiarray.{name}")
            for core in ("core", "_core")
        ]
    with torch.serialization.safe_globals(arrays):
        return torch.load(checkpoint, map_location="cpu", weights_only=True)["model"]


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
    importlib.import_module("torchlibrosa")
    with _without_pyplot():
        return importlib.import_module(f"{name}.models")


@contextmanager
def _without_pyplot() -> Iterator[None]:
    """The module imports pyplot, for nothing; that would write a font cache to the home folder."""
    absent = [name for name in ("matplotlib", "matplotlib.pyplot") if name not in sys.modules]
    sys.modules.update({name: types.ModuleType(name) for name in absent})
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]


class _Heads(torch.nn.Module):
    """Cnn14 with its two outputs in order, as ONNX wants them."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, windows: Any) -> tuple[Any, ...]:
        found = self.model(windows)
        return tuple(found[name] for name in OUTPUTS.values())


def export(model: Any, path: Path) -> None:
    """Write the whole model, spectrogram included, for any batch size and any length."""
    names = list(OUTPUTS)
    with warnings.catch_warnings():  # the tracer's doubts are settled by the comparison after it
        warnings.simplefilter("ignore")
        torch.onnx.export(
            _Heads(model).eval(),
            (torch.randn(2, 2 * RATE) * 0.1,),
            str(path),
            input_names=["windows"],
            output_names=names,
            dynamic_axes={
                "windows": {0: "batch", 1: "samples"},
                **{name: {0: "batch"} for name in names},
            },
            opset_version=17,
            dynamo=False,
        )


def compare(model: Any, path: Path) -> dict[str, Agreement]:
    """How near the export comes to PyTorch, by output, over several lengths and batch sizes."""
    session = open_session(path, 0)
    rng = np.random.default_rng(0)
    pairs: dict[str, list[tuple[FloatArray, FloatArray]]] = {name: [] for name in OUTPUTS}
    for batch, samples in COMPARED:
        windows = sounds(rng, batch, samples, RATE)
        with torch.no_grad():
            expected = model(torch.from_numpy(windows))
        given = session.run(None, {"windows": windows})
        for (name, key), ours in zip(OUTPUTS.items(), given, strict=True):
            pairs[name].append((ours, expected[key].numpy()))
    return {name: agreement(found) for name, found in pairs.items()}
