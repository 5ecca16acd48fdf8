"""Voice encoders that were trained here, known by the name of their folder."""

import json
from pathlib import Path
from typing import Any

from audiosearch.engine.encoders.base import EncoderSpec
from audiosearch.engine.encoders.waveform import LONGEST, RATE, WaveformEncoder

DESCRIPTION = "encoder.json"


def trained_encoder(folder: Path) -> type[WaveformEncoder]:
    """The class of the encoder in a folder that `describe` was called for."""
    told = json.loads((folder / DESCRIPTION).read_text())
    spec = EncoderSpec(
        name=folder.name,
        version=told["version"],
        title=told["title"],
        dimension=told["dimension"],
        sample_rate=RATE,
        min_ms=100,
        window_ms=LONGEST * 1000 // RATE,
        hop_ms=LONGEST * 1000 // RATE,
        licence="yours",
        source=told["source"],
        hears="voices",
    )
    return type(folder.name, (WaveformEncoder,), {"spec": spec, "__doc__": spec.title})


def describe(folder: Path, *, title: str, source: str, network: Any) -> None:
    """Note what the export in a folder is; each time, its vectors are of a new version."""
    import torch

    path = folder / DESCRIPTION
    before = json.loads(path.read_text())["version"] if path.exists() else 0
    with torch.no_grad():
        dimension = network(torch.zeros(1, RATE)).shape[1]
    told = {"version": before + 1, "title": title, "dimension": dimension, "source": source}
    draft = path.with_suffix(".part")
    draft.write_text(json.dumps(told, indent=1))
    draft.replace(path)
