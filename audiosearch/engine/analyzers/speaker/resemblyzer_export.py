"""The one-time step from Resemblyzer's published weights to ONNX.

    python -m audiosearch.engine.analyzers.speaker.resemblyzer_export PRETRAINED.pt TARGET.onnx

Imports the package onnx, so it runs in a process of its own.
"""

import os
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from audiosearch.engine.analyzers.base import FloatArray
from audiosearch.engine.analyzers.speaker.resemblyzer_frames import FFT, FRAMES, RATE
from audiosearch.engine.analyzers.torch_files import UNREADABLE, read_legacy_weights
from audiosearch.engine.errors import ModelUnavailable

MEL_BANDS = 40
HIDDEN = 256
LAYERS = 3
OPSET, IR_VERSION = 17, 8
BINS = FFT // 2 + 1


def export(weights: Path, path: Path) -> None:
    """Write the network as ONNX to `path`, which appears only once it is complete.

    Raises ModelUnavailable when the file does not hold these weights.
    """
    model = build_model(read_weights(weights))
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        onnx.save(model, draft)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def read_weights(path: Path) -> dict[str, FloatArray]:
    """The network's parameters by PyTorch's names for them. Raises ModelUnavailable."""
    shapes = {"linear.weight": (HIDDEN, HIDDEN), "linear.bias": (HIDDEN,)}
    for layer in range(LAYERS):
        inputs = HIDDEN if layer else MEL_BANDS
        shapes[f"lstm.weight_ih_l{layer}"] = (4 * HIDDEN, inputs)
        shapes[f"lstm.weight_hh_l{layer}"] = (4 * HIDDEN, HIDDEN)
        shapes[f"lstm.bias_ih_l{layer}"] = shapes[f"lstm.bias_hh_l{layer}"] = (4 * HIDDEN,)
    try:
        stored = read_legacy_weights(path, "model_state")
        found = {name: stored[name] for name in shapes}
    except UNREADABLE as error:
        raise ModelUnavailable(f"{path} does not hold Resemblyzer's weights.") from error
    if {name: values.shape for name, values in found.items()} != shapes:
        raise ModelUnavailable(f"{path} holds weights of another network.")
    return found


def build_model(weights: dict[str, FloatArray]) -> onnx.ModelProto:
    """The published network behind a mel filterbank: (n, 160, 201) power to (n, 256) vectors."""
    constants = {
        "bands": mel_bands().T,
        "linear.weight": weights["linear.weight"],
        "linear.bias": weights["linear.bias"],
        "first": np.array([0]),  # axes that ONNX has for both directions
        "second": np.array([1]),
        "least": np.array(1e-9, np.float32),
    }
    nodes = [
        helper.make_node("MatMul", ["power", "bands"], ["mel"]),
        helper.make_node("Transpose", ["mel"], ["frames0"], perm=[1, 0, 2]),
    ]
    for layer in range(LAYERS):
        constants |= _lstm_constants(weights, layer)
        nodes += _lstm_nodes(layer)
    nodes += [
        helper.make_node("Squeeze", [f"last{LAYERS - 1}", "first"], ["hidden"]),
        helper.make_node("Gemm", ["hidden", "linear.weight", "linear.bias"], ["raw"], transB=1),
        helper.make_node("Relu", ["raw"], ["positive"]),
        helper.make_node("ReduceL2", ["positive"], ["length"], axes=[1]),
        helper.make_node("Max", ["length", "least"], ["divisor"]),
        helper.make_node("Div", ["positive", "divisor"], ["embedding"]),
    ]
    graph = helper.make_graph(
        nodes,
        "resemblyzer",
        [helper.make_tensor_value_info("power", TensorProto.FLOAT, ["batch", FRAMES, BINS])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", HIDDEN])],
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    opset = helper.make_opsetid("", OPSET)
    return helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION)


def _lstm_nodes(layer: int) -> list[onnx.NodeProto]:
    """A layer: (frames, n, values) of all its states for the next one, and the last state."""
    given = [f"{name}{layer}" for name in ("frames", "W", "R", "B")]
    states, last = f"states{layer}", f"last{layer}"
    return [
        helper.make_node("LSTM", given, [states, last], hidden_size=HIDDEN),
        helper.make_node("Squeeze", [states, "second"], [f"frames{layer + 1}"]),
    ]


def _lstm_constants(weights: dict[str, FloatArray], layer: int) -> dict[str, FloatArray]:
    """The W, R and B of a layer, with the gates in the order of ONNX."""
    inputs, recurrent, *biases = (
        _reorder_gates(weights[f"lstm.{name}_l{layer}"])
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    found = {"W": inputs, "R": recurrent, "B": np.concatenate(biases)}
    return {f"{name}{layer}": values[None] for name, values in found.items()}


def _reorder_gates(values: FloatArray) -> FloatArray:
    """From input, forget, cell, output to input, output, forget, cell."""
    into, forget, cell, out = np.split(values, 4)
    return np.concatenate([into, out, forget, cell])


def mel_bands() -> FloatArray:
    """(bands, bins) triangles of equal area on the mel scale of Slaney, "Auditory Toolbox", 1998.

    That scale is linear up to 1 kHz (15 mel) and logarithmic above.
    """
    top = 15 + 27 * np.log(RATE / 2 / 1000) / np.log(6.4)
    mel = np.linspace(0, top, MEL_BANDS + 2)
    edges = np.where(mel < 15, mel * 200 / 3, 1000 * 6.4 ** ((mel - 15) / 27))
    hz = np.linspace(0, RATE / 2, BINS)
    left, centre, right = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising, falling = (hz - left) / (centre - left), (right - hz) / (right - centre)
    bands = np.maximum(0, np.minimum(rising, falling)) * 2 / (right - left)
    return np.asarray(bands, dtype=np.float32)


if __name__ == "__main__":
    export(Path(sys.argv[1]), Path(sys.argv[2]))
