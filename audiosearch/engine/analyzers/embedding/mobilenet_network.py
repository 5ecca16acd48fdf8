"""EfficientAT's MobileNets in PyTorch: from log-mel spectrogram to embedding and probabilities.

Schmid et al., "Efficient Large-Scale Audio Tagging Via Transformer-To-CNN Knowledge Distillation",
2023, https://arxiv.org/abs/2211.04772, after MobileNetV3 (Howard et al. 2019, table 1). Parameters
have the names they have in the authors' weights (https://github.com/fschmid56/EfficientAT, MIT).

Imports PyTorch, so only `MobileNet.prepare` (and the tests) import this module.
"""

import warnings
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from audiosearch.engine.analyzers.embedding.audioset import CLASSES
from audiosearch.engine.analyzers.embedding.mobilenet_mels import MELS, RATE, SHORTEST, log_mels
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

# Of each block: kernel, expanded channels, channels, squeezed and excited?, hard swish?, stride.
BLOCKS = (
    (3, 16, 16, False, False, 1),
    (3, 64, 24, False, False, 2),
    (3, 72, 24, False, False, 1),
    (5, 72, 40, True, False, 2),
    (5, 120, 40, True, False, 1),
    (5, 120, 40, True, False, 1),
    (3, 240, 80, False, True, 2),
    (3, 200, 80, False, True, 1),
    (3, 184, 80, False, True, 1),
    (3, 184, 80, False, True, 1),
    (3, 480, 112, True, True, 1),
    (3, 672, 112, True, True, 1),
    (5, 672, 160, True, True, 2),
    (5, 960, 160, True, True, 1),
    (5, 960, 160, True, True, 1),
)
STEM = 16  # channels
HIDDEN = 1280  # units before the tags
OUTPUTS = ("embedding", "probability")
COMPARED = ((1, SHORTEST), (3, RATE), (2, 5 * RATE), (1, 10 * RATE))  # batch, samples


class MobileNetV3(nn.Module):
    """(n, 128, frames) to (n, 6 c) embeddings, c = 160 `width`, and (n, 527) probabilities."""

    def __init__(self, width: float) -> None:
        super().__init__()
        channels = scaled(STEM, width)
        layers: list[nn.Module] = [_layer(1, channels, 3, stride=2, activation=nn.Hardswish)]
        for kernel, expanded, outputs, excited, swish, stride in BLOCKS:
            sizes = (channels, scaled(expanded, width), scaled(outputs, width))
            activation = nn.Hardswish if swish else nn.ReLU
            layers.append(_Block(sizes, kernel, stride, activation, excited=excited))
            channels = sizes[-1]
        layers.append(_layer(channels, 6 * channels, 1, activation=nn.Hardswish))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(6 * channels, scaled(HIDDEN, width)),
            nn.Hardswish(),
            nn.Dropout(0.2),
            nn.Linear(scaled(HIDDEN, width), CLASSES),
        )

    def forward(self, spectrograms: Tensor) -> tuple[Tensor, Tensor]:
        maps = self.features(spectrograms[:, None])
        return maps.mean(dim=(2, 3)), torch.sigmoid(self.classifier(maps))


class _Block(nn.Module):
    """Expand, filter each channel by itself, weigh the channels, project; with a shortcut."""

    def __init__(
        self,
        sizes: tuple[int, int, int],
        kernel: int,
        stride: int,
        activation: type[nn.Module],
        *,
        excited: bool,
    ) -> None:
        super().__init__()
        inputs, expanded, outputs = sizes
        layers: list[nn.Module] = []
        if expanded != inputs:
            layers.append(_layer(inputs, expanded, 1, activation=activation))
        layers.append(
            _layer(expanded, expanded, kernel, stride, groups=expanded, activation=activation)
        )
        if excited:
            layers.append(_Excitation(expanded))
        layers.append(_layer(expanded, outputs, 1))
        self.block = nn.Sequential(*layers)
        self.shortcut = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.block(x)
        return found + x if self.shortcut else found


class _Excitation(nn.Module):
    """Channels weighed by their means (Hu et al. 2018); a list of one, as the weights name it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        squeezed = divisible(channels // 4)
        pair = {"fc1": nn.Linear(channels, squeezed), "fc2": nn.Linear(squeezed, channels)}
        self.conc_se_layers = nn.ModuleList([nn.ModuleDict(pair)])

    def forward(self, x: Tensor) -> Tensor:
        (pair,) = self.conc_se_layers
        squeezed = torch.relu(pair.get_submodule("fc1")(x.mean(dim=(2, 3))))
        weights = torch.sigmoid(pair.get_submodule("fc2")(squeezed))
        return weights[:, :, None, None] * x


def _layer(
    inputs: int,
    outputs: int,
    kernel: int,
    stride: int = 1,
    groups: int = 1,
    activation: type[nn.Module] | None = None,
) -> nn.Sequential:
    """Convolution, batch normalisation and, if one is asked for, an activation."""
    padding = (kernel - 1) // 2
    found = nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False),
        nn.BatchNorm2d(outputs, eps=0.001, momentum=0.01),
    )
    if activation:
        found.append(activation())
    return found


def scaled(channels: int, width: float) -> int:
    """So many channels in a network `width` times as wide."""
    return divisible(channels * width)


def divisible(channels: float) -> int:
    """The nearest multiple of 8, at least 8, and not below nine tenths of what was asked."""
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * channels else nearest


def export_checked(weights: Path, width: float, path: Path, progress: Progress) -> dict[str, float]:
    """Write the authors' weights as ONNX to `path`, once it agrees with PyTorch.

    Returns the smallest cosine and the largest difference of each output. Raises ModelUnavailable
    when the file does not hold such weights, or the export is unfaithful or cannot be written.
    """
    network = load_network(weights, width)
    return write_faithful(path, progress, partial(export, network), partial(compare, network))


def load_network(path: Path, width: float) -> MobileNetV3:
    """The network with the weights in the authors' file, in evaluation mode.

    Raises ModelUnavailable when the file does not hold all of them and nothing else.
    """
    network = MobileNetV3(width)
    try:
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except UNREADABLE as error:
        raise ModelUnavailable(
            f"{path.name} does not hold the weights of a MobileNet of width {width:g}."
        ) from error
    return network.eval()


def export(network: MobileNetV3, path: Path) -> None:
    """Write the network for any batch size and any number of frames."""
    axes: dict[str, dict[int, str]] = {name: {0: "batch"} for name in OUTPUTS}
    with warnings.catch_warnings():  # the tracer's doubts are settled by the comparison after it
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (torch.zeros(2, MELS, 200),),
            str(path),
            input_names=["spectrograms"],
            output_names=list(OUTPUTS),
            dynamic_axes={"spectrograms": {0: "batch", 2: "frames"}, **axes},
            opset_version=17,
            dynamo=False,
        )


def compare(network: MobileNetV3, path: Path) -> dict[str, Agreement]:
    """How near the export comes to PyTorch, by output, over several lengths and batch sizes."""
    session = open_session(path, 0)
    rng = np.random.default_rng(0)
    pairs: dict[str, list[tuple[FloatArray, FloatArray]]] = {name: [] for name in OUTPUTS}
    for batch, samples in COMPARED:
        spectrograms = log_mels(sounds(rng, batch, samples, RATE))
        with torch.no_grad():
            expected = network(torch.from_numpy(spectrograms))
        given = session.run(None, {"spectrograms": spectrograms})
        for name, ours, theirs in zip(OUTPUTS, given, expected, strict=True):
            pairs[name].append((ours, theirs.numpy()))
    return {name: agreement(found) for name, found in pairs.items()}
