"""WavLM with an x-vector head in PyTorch, by the transformers package."""

import json
import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from audiosearch.engine.analyzers.torch_files import UNREADABLE
from audiosearch.engine.errors import ModelUnavailable

# Nothing is fetched from here on: the files are in a folder. Set before transformers reads it.
os.environ.setdefault("HF_HUB_OFFLINE", "1")

from transformers import WavLMForXVector


class WavLmXVector(nn.Module):
    """(n, samples) at 16 kHz to (n, d) embeddings."""

    def __init__(self, model: Any, *, normalise: bool) -> None:
        super().__init__()
        self.model = model
        self.normalise = normalise

    def forward(self, waveforms: Tensor) -> Tensor:
        if self.normalise:
            mean = waveforms.mean(dim=1, keepdim=True)
            variance = ((waveforms - mean) ** 2).mean(dim=1, keepdim=True)
            waveforms = (waveforms - mean) / torch.sqrt(variance + 1e-7)
        return self.model(waveforms).embeddings


def load_wavlm(folder: Path) -> WavLmXVector:
    """The network in a folder in the format of the transformers package.

    Raises ModelUnavailable when the folder does not hold such a network.
    """
    try:
        model = WavLMForXVector.from_pretrained(
            folder, local_files_only=True, weights_only=True, attn_implementation="eager"
        )
        asked = json.loads((folder / "preprocessor_config.json").read_text())
    except UNREADABLE as error:
        raise ModelUnavailable(f"{folder} does not hold a WavLM x-vector network.") from error
    return WavLmXVector(model, normalise=bool(asked.get("do_normalize"))).eval()
