"""From a PyTorch network that hears waveforms to ONNX, with the proof that both agree."""

import os
import warnings
from pathlib import Path

import numpy as np
import torch

from audiosearch.engine.analyzers.sessions import open_session
from audiosearch.engine.analyzers.speaker.onnx_encoder import RATE, SHORTEST
from audiosearch.engine.errors import ModelUnavailable

MIN_COSINE = 0.9999
COMPARED = ((1, SHORTEST), (3, int(1.7 * RATE)), (1, 5 * RATE))  # batch, samples


def export_checked(network: torch.nn.Module, path: Path) -> dict[str, float]:
    """Write a network, (n, samples) to (n, d), as ONNX; the file appears once it agrees.

    Returns the least cosine similarity between the embeddings of both, over several lengths and
    batch sizes. Raises ModelUnavailable when they do not agree.
    """
    network = network.eval().cpu()
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with warnings.catch_warnings():  # the tracer's doubts are settled by the comparison
            warnings.simplefilter("ignore")
            torch.onnx.export(
                network,
                (torch.randn(2, 2 * RATE) * 0.1,),
                str(draft),
                input_names=["waveforms"],
                output_names=["embedding"],
                dynamic_axes={"waveforms": {0: "batch", 1: "samples"}, "embedding": {0: "batch"}},
                opset_version=17,
                dynamo=False,
            )
        cosine = _least_cosine(network, draft)
        if not cosine >= MIN_COSINE:
            raise ModelUnavailable(
                f"The export is not faithful to PyTorch, so it is not used: cosine {cosine:.6f}."
            )
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return {"embedding cosine": cosine}


def _least_cosine(network: torch.nn.Module, path: Path) -> float:
    session = open_session(path, 0)
    rng = np.random.default_rng(0)
    cosines = []
    for batch, samples in COMPARED:
        waveforms = rng.normal(0, 0.1, (batch, samples)).astype(np.float32)
        with torch.no_grad():
            theirs = network(torch.from_numpy(waveforms)).numpy()
        ours = session.run(None, {"waveforms": waveforms})[0]
        lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
        cosines.append((ours * theirs).sum(axis=1) / lengths)
    return float(np.concatenate(cosines).min())
