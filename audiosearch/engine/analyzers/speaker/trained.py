"""Voice encoders that were trained here, known by the name of their folder."""

import hashlib
import json
from pathlib import Path
from typing import Any

from audiosearch.engine.analyzers.speaker.onnx_encoder import RATE, WaveformEncoder, voice_spec

DESCRIPTION = "encoder.json"


def trained_encoder(folder: Path) -> type[WaveformEncoder]:
    """The class of the encoder in a folder that `install_trained` filled."""
    told = json.loads((folder / DESCRIPTION).read_text())
    spec = voice_spec(
        name=folder.name,
        version=told["version"],
        title=told["title"],
        dimension=told["dimension"],
        licence="yours",
        source=told["source"],
    )
    face = {"spec": spec, "export": _export(told["version"]), "__doc__": spec.title}
    return type(folder.name, (WaveformEncoder,), face)


def install_trained(folder: Path, network: Any, weights: Path, *, title: str, source: str) -> float:
    """Export a trained network and let it be known; returns its cosine to PyTorch.

    Other weights are another version, with vectors of a space of its own; each version keeps its
    file, as a process that began with it may load it later. Raises ModelUnavailable.
    """
    import torch

    from audiosearch.engine.analyzers.speaker.onnx_export import export_checked

    path = folder / DESCRIPTION
    before: dict[str, Any] = {"version": 0, "weights": ""}
    if path.exists():
        before = json.loads(path.read_text())
    with weights.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    version = before["version"] + (digest != before["weights"])
    cosine = export_checked(network, folder / _export(version))["embedding cosine"]
    with torch.no_grad():
        dimension = network(torch.zeros(1, RATE)).shape[1]
    told = {"version": version, "title": title, "dimension": dimension, "source": source}
    draft = path.with_suffix(".part")
    draft.write_text(json.dumps(told | {"weights": digest}, indent=1))
    draft.replace(path)
    return cosine


def _export(version: int) -> str:
    return f"encoder-v{version}.onnx"
