"""Checkpoints in the published formats, with random weights: the same code and speed."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

RATE = 32000


def write_random_cnn14(path: Path, seed: int = 0) -> Path:
    """Write a `{"model": state_dict}` of 327 MB whose outputs differ from sound to sound.

    Fresh weights answer all sounds alike. Here the batch norms are calibrated on varied sounds,
    and the embedding's bias takes off what all of those have in common.
    """
    import torch

    from audiosearch.engine.analyzers.embedding.panns_export import build_torch_model

    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        model = build_torch_model()
        norms = [part for part in model.modules() if isinstance(part, torch.nn.BatchNorm2d)]
        for norm in norms:
            norm.momentum = None  # the plain mean over all passes
        sounds = _sounds(8, RATE)
        model.train()
        model(sounds)
        model.eval()
        _spread(model, model.fc1, sounds, gain=4.0)
        _spread(model, model.fc_audioset, sounds, gain=2.0)
        # The published file is in PyTorch's format from before 1.6.
        torch.save({"model": model.state_dict()}, path, _use_new_zipfile_serialization=False)
    return path


def write_random_mobilenet(path: Path, width: float, seed: int = 0) -> Path:
    """Write a state dict of EfficientAT's MobileNets, drawn by NumPy: the same on every machine."""
    import torch

    from audiosearch.engine.analyzers.embedding.mobilenet_network import MobileNetV3

    rng, drawn = np.random.default_rng(seed), {}
    for name, value in sorted(MobileNetV3(width).state_dict().items()):
        if name.endswith("num_batches_tracked"):
            drawn[name] = torch.zeros((), dtype=torch.int64)
            continue
        if value.ndim > 1:
            found = rng.normal(0, np.sqrt(2 / np.prod(value.shape[1:])), value.shape)
        elif name.endswith("running_var") or (".1.weight" in name):
            found = rng.uniform(0.5, 1.5, value.shape)
        else:
            found = rng.normal(0, 0.1, value.shape)
        scale = 1e-4 if name == "classifier.5.weight" else 1.0  # probabilities between 0 and 1
        drawn[name] = torch.from_numpy((scale * found).astype(np.float32))
    torch.save(drawn, path)
    return path


def _spread(
    model: "torch.nn.Module", layer: "torch.nn.Linear", sounds: "torch.Tensor", gain: float
) -> None:
    """Centre a layer's outputs over `sounds` and scale them to a deviation of `gain`."""
    import torch

    heard: list[torch.Tensor] = []
    hook = layer.register_forward_hook(lambda _layer, _given, output: heard.append(output.clone()))
    model(sounds)
    hook.remove()
    (outputs,) = heard
    scale = gain / outputs.std(dim=0).mean()
    layer.weight *= scale
    layer.bias.copy_(-outputs.mean(dim=0) * scale)


def _sounds(count: int, samples: int) -> "torch.Tensor":
    """Tones, chirps and pulses in coloured noise, of all loudnesses: (count, samples)."""
    import torch

    at = torch.arange(samples) / RATE
    low, high, beat = (torch.rand(count, 1) for _ in range(3))
    hz = 60 * 100**low + (2000 * high - 500).clamp(min=0) * at
    pulses = torch.sin(torch.pi * (0.5 + 8 * beat) * at) ** 4
    tones = torch.sin(2 * torch.pi * hz * at) * pulses
    noise = torch.randn(count, samples)
    dull = torch.nn.functional.avg_pool1d(noise[:, None], 9, 1, 4)[:, 0]
    coloured = torch.where(torch.rand(count, 1) < 0.5, noise, 3 * dull)
    loudness = 10 ** (-2 * torch.rand(count, 1))
    return loudness * (tones + torch.rand(count, 1) * 0.5 * coloured)


if __name__ == "__main__":
    write_random_cnn14(Path(sys.argv[1]))
