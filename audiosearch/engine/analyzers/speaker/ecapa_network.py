"""ECAPA-TDNN in PyTorch, from samples to embedding, with the features of SpeechBrain's recipe.

Desplanques et al., 2020, https://arxiv.org/abs/2005.07143. Layers have the names they have in
SpeechBrain's checkpoints (https://github.com/speechbrain/speechbrain, Apache-2.0), less the wrapper
that each layer sits in there.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from audiosearch.engine.analyzers.speaker.onnx_encoder import RATE
from audiosearch.engine.analyzers.torch_files import UNREADABLE
from audiosearch.engine.errors import ModelUnavailable

FFT = 400  # samples, 25 ms
HOP = 160
MELS = 80
TINY = 1e-10
TOP_DB = 80.0
SCALE = 8  # groups of channels in a Res2Net block
SQUEEZED = 128
DILATIONS = (2, 3, 4)
DIMENSION = 192


class Fbank(nn.Module):
    """(n, samples) to (n, 80, frames): mel energies in dB, 25 ms every 10 ms, mean over time zero.

    The Fourier transform is a convolution, so that it exports to ONNX for any length.
    """

    def __init__(self) -> None:
        super().__init__()
        angles = 2 * np.pi * np.outer(np.arange(FFT // 2 + 1), np.arange(FFT)) / FFT
        hamming = 0.54 - 0.46 * np.cos(2 * np.pi * np.arange(FFT) / FFT)
        waves = np.concatenate([np.cos(angles), np.sin(angles)]) * hamming
        self.register_buffer("waves", _tensor(waves[:, None]), persistent=False)
        self.register_buffer("mels", _tensor(_triangles()), persistent=False)

    def forward(self, waveforms: Tensor) -> Tensor:
        padded = functional.pad(waveforms[:, None], (FFT // 2, FFT // 2))
        spectrum = functional.conv1d(padded, self.get_buffer("waves"), stride=HOP)
        real, imaginary = spectrum.chunk(2, dim=1)
        power = torch.matmul(self.get_buffer("mels"), real**2 + imaginary**2)
        decibels = 10 * torch.log10(torch.clamp(power, min=TINY))
        decibels = torch.maximum(decibels, decibels.amax(dim=(1, 2), keepdim=True) - TOP_DB)
        return decibels - decibels.mean(dim=2, keepdim=True)


def _tensor(values: np.ndarray) -> Tensor:
    return torch.from_numpy(values.astype(np.float32))


def _triangles() -> np.ndarray:
    """(80, 201) filters, evenly spaced in mel; each is as wide to its right as to its left."""
    mels = np.linspace(0, 2595 * np.log10(1 + RATE / 2 / 700), MELS + 2)
    hertz = 700 * (10 ** (mels / 2595) - 1)
    centres, widths = hertz[1:-1, None], np.diff(hertz)[:-1, None]
    slopes = (np.linspace(0, RATE / 2, FFT // 2 + 1) - centres) / widths
    return np.maximum(1 - np.abs(slopes), 0)


class Layer(nn.Module):
    """Convolution, ReLU, batch normalisation, over as many frames as come in."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, dilation: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv1d(
            inputs,
            outputs,
            kernel,
            dilation=dilation,
            padding=dilation * (kernel - 1) // 2,
            padding_mode="reflect",
        )
        self.norm = nn.BatchNorm1d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(torch.relu(self.conv(x)))


class Res2Net(nn.Module):
    """Groups of channels, each heard together with what the one before it heard."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        width = channels // SCALE
        self.blocks = nn.ModuleList(Layer(width, width, 3, dilation) for _ in range(SCALE - 1))

    def forward(self, x: Tensor) -> Tensor:
        first, *groups = x.chunk(SCALE, dim=1)
        heard = [first]
        for number, (group, block) in enumerate(zip(groups, self.blocks, strict=True)):
            heard.append(block(group + heard[-1] if number else group))
        return torch.cat(heard, dim=1)


class SqueezeExcite(nn.Module):
    """Channels weighed by what all frames say of them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(channels, SQUEEZED, 1)
        self.conv2 = nn.Conv1d(SQUEEZED, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        squeezed = torch.relu(self.conv1(x.mean(dim=2, keepdim=True)))
        return torch.sigmoid(self.conv2(squeezed)) * x


class Block(nn.Module):
    """SE-Res2Block, with a shortcut."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.tdnn1 = Layer(channels, channels)
        self.res2net_block = Res2Net(channels, dilation)
        self.tdnn2 = Layer(channels, channels)
        self.se_block = SqueezeExcite(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.se_block(self.tdnn2(self.res2net_block(self.tdnn1(x)))) + x


class AttentivePooling(nn.Module):
    """(n, c, frames) to (n, 2c, 1): mean and deviation, of the frames each channel attends to."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.tdnn = Layer(3 * channels, SQUEEZED)
        self.conv = nn.Conv1d(SQUEEZED, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        mean, deviation = _statistics(x, torch.full_like(x[:, :1], 1.0) / x.shape[2])
        context = torch.cat([x, mean.expand_as(x), deviation.expand_as(x)], dim=1)
        attention = torch.softmax(self.conv(torch.tanh(self.tdnn(context))), dim=2)
        return torch.cat(_statistics(x, attention), dim=1)


def _statistics(x: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Weighted mean and standard deviation over frames, each (n, c, 1)."""
    mean = (weights * x).sum(dim=2, keepdim=True)
    variance = (weights * (x - mean) ** 2).sum(dim=2, keepdim=True)
    return mean, torch.sqrt(torch.clamp(variance, min=1e-12))


class EcapaTdnn(nn.Module):
    """(n, samples) at 16 kHz to (n, 192) embeddings; `channels` is 512 or 1024 in the paper.

    `augment` changes the features, (n, 80, frames), while training.
    """

    def __init__(self, channels: int = 1024, augment: nn.Module | None = None) -> None:
        super().__init__()
        self.features = Fbank()
        self.augment = augment or nn.Identity()
        self.blocks = nn.ModuleList(
            [Layer(MELS, channels, 5), *(Block(channels, dilation) for dilation in DILATIONS)]
        )
        self.mfa = Layer(len(DILATIONS) * channels, 3 * channels)
        self.asp = AttentivePooling(3 * channels)
        self.asp_bn = nn.BatchNorm1d(6 * channels)
        self.fc = nn.Conv1d(6 * channels, DIMENSION, 1)

    def forward(self, waveforms: Tensor) -> Tensor:
        with torch.autocast(waveforms.device.type, enabled=False):
            features = self.features(waveforms.float())
        x = self.augment(features)
        heard = []
        for block in self.blocks:
            x = block(x)
            heard.append(x)
        pooled = self.asp(self.mfa(torch.cat(heard[1:], dim=1)))
        return self.fc(self.asp_bn(pooled)).squeeze(2)


def load_speechbrain(path: Path) -> EcapaTdnn:
    """The network in a checkpoint of SpeechBrain's ECAPA_TDNN; its width is read from it.

    Raises ModelUnavailable when the file does not hold one.
    """
    try:
        published = torch.load(path, map_location="cpu", weights_only=True)
        state = {_our_name(name): value for name, value in published.items()}
        network = EcapaTdnn(channels=state["blocks.0.conv.weight"].shape[0])
        network.load_state_dict(state)
    except UNREADABLE as error:
        raise ModelUnavailable(f"{path.name} does not hold SpeechBrain's ECAPA-TDNN.") from error
    return network.eval()


def _our_name(name: str) -> str:
    """Without the wrapper, the last part but one: mfa.conv.weight for mfa.conv.conv.weight."""
    *parents, _, leaf = name.split(".")
    return ".".join([*parents, leaf])
