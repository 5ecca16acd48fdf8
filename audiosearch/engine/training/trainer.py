"""Trains a voice encoder: epochs, checkpoints to go on from, and how good it has become.

Everything random hangs on the seed, the epoch and the place in it, so a training that was stopped
and goes on is, on a processor, the same training.
"""

import hashlib
import json
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from tensorboardX import SummaryWriter
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from audiosearch.engine.analyzers.speaker.ecapa_network import EcapaTdnn
from audiosearch.engine.arrays import FloatArray
from audiosearch.engine.errors import ModelUnavailable
from audiosearch.engine.scoring.verification import MIN_TRIALS, Trials, equal_error_rate
from audiosearch.engine.training.augment import SPEEDS, SpecAugment, at_speed, augment_speech
from audiosearch.engine.training.corpus import Utterance
from audiosearch.engine.training.losses import Margin, MarginSoftmax
from audiosearch.engine.voice.speech import RATE

CHECKPOINT, BEST = "last.pt", "best.pt"
CHECKPOINT_S = 120
TAIL = 0.15  # of every utterance; kept for validation
HEARD_S = 3.0
PIECES = 4
VALIDATED = 500  # recordings


@dataclass(frozen=True)
class Settings:
    """What a training is; one that goes on must be told the same.

    pretrained: a folder with WavLM in the format of transformers. crop_s: seconds of each example.
    warm_up: share of all steps in which the learning rate rises.
    """

    model: Literal["ecapa", "wavlm"] = "ecapa"
    channels: int = 512
    pretrained: str = ""
    loss: Margin = "aam"
    margin: float = 0.2
    scale: float = 30.0
    crop_s: float = 2.0
    batch: int = 32
    epochs: int = 20
    learning_rate: float = 1e-3
    warm_up: float = 0.1
    weight_decay: float = 2e-5
    patience: int = 5
    seed: int = 0


@dataclass
class Epoch:
    """loss: mean over the steps; accuracy: of training speakers by what was kept back of them;
    eer: of speakers never trained on; both in 0..1."""

    epoch: int
    loss: float | None
    accuracy: float
    eer: float


@dataclass
class Progress:
    """Where a training stands; kept in its checkpoint."""

    epoch: int = 0
    step: int = 0
    losses: list[float] = field(default_factory=list)
    history: list[Epoch] = field(default_factory=list)

    @property
    def best(self) -> Epoch:
        return min(self.history, key=lambda one: (one.eer, one.epoch))


class Trainer:
    """Trains on the utterances of some speakers and looks how it does on unseen ones.

    folder: where checkpoints, curves and the history are kept. noises: what `cut_noises` kept.
    said: called with (epoch, step, steps of an epoch, loss).
    """

    def __init__(
        self,
        settings: Settings,
        utterances: list[Utterance],
        unseen: list[Utterance],
        folder: Path,
        *,
        noises: list[Path] | None = None,
        said: Callable[[int, int, int, float], None] = lambda *_: None,
    ) -> None:
        self.settings, self.folder, self.said = settings, folder, said
        self.utterances, self.unseen = utterances, unseen
        self.noises = noises or []
        self.speakers = sorted({one.speaker for one in utterances})
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        torch.manual_seed(settings.seed)
        self.network = build_network(settings).to(self.device)
        self.head = self._head().to(self.device)
        weights = [*self.network.parameters(), *self.head.parameters()]
        self.optimizer = torch.optim.AdamW(
            [one for one in weights if one.requires_grad], weight_decay=settings.weight_decay
        )
        self.progress = Progress()
        self.corpus = _digest([*utterances, *unseen], self.noises)
        self.crops = [one for one in utterances for _ in range(_crops(one, settings))]
        self.steps = max(len(self.crops) // settings.batch, 1)

    def run(self) -> Progress:
        """Train to the end, or until unseen speakers gain nothing any more. Goes on where it was.

        What is done since the last checkpoint is lost when it is interrupted.
        """
        self._resume()
        with SummaryWriter(str(self.folder / "tensorboard")) as curves:
            if not self.progress.history:
                self._validate(curves)
            while not self._finished():
                self._train_epoch(curves)
                self._validate(curves)
        return self.progress

    def best_network(self) -> nn.Module:
        """The network as it was when unseen speakers were told apart best."""
        kept = torch.load(self.folder / BEST, map_location="cpu", weights_only=True)
        network = build_network(self.settings)
        network.load_state_dict(kept)
        return network.eval()

    def _head(self) -> MarginSoftmax:
        with torch.no_grad():
            some = torch.zeros(1, RATE, device=self.device)
            dimension = self.network.eval()(some).shape[1]
        one = self.settings
        return MarginSoftmax(
            one.loss,
            dimension,
            len(self.speakers) * len(SPEEDS),
            margin=one.margin,
            scale=one.scale,
        )

    def _finished(self) -> bool:
        stale = self.progress.epoch - self.progress.best.epoch
        return self.progress.epoch >= self.settings.epochs or stale >= self.settings.patience

    def _train_epoch(self, curves: Any) -> None:
        progress = self.progress
        self.network.train()
        self.head.train()
        kept_at = time.monotonic()
        for waveforms, labels in self._batches(progress.epoch, progress.step):
            number = progress.epoch * self.steps + progress.step
            loss = self._step(waveforms, labels, number)
            progress.step += 1
            progress.losses.append(loss)
            curves.add_scalar("loss", loss, number)
            curves.add_scalar("learning_rate", self._rate(number), number)
            self.said(progress.epoch + 1, progress.step, self.steps, loss)
            if time.monotonic() - kept_at > CHECKPOINT_S:
                self._keep()
                kept_at = time.monotonic()
        progress.epoch, progress.step = progress.epoch + 1, 0

    def _batches(self, epoch: int, done: int) -> Iterator[tuple[Tensor, Tensor]]:
        order = np.random.default_rng([self.settings.seed, epoch]).permutation(len(self.crops))
        size = self.settings.batch
        places = order[done * size : self.steps * size]
        crops = _Crops(self, [int(place) for place in places], epoch)
        cores = len(os.sched_getaffinity(0))
        workers = 0 if cores <= 2 else min(cores // 2, 8)
        yield from DataLoader(crops, batch_size=size, num_workers=workers)

    def _step(self, waveforms: Tensor, labels: Tensor, number: int) -> float:
        seed = self.settings.seed * 1_000_003 + number
        torch.manual_seed(seed)
        np.random.seed(seed % 2**32)
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate(number)
        with self._precision():
            embeddings = self.network(waveforms.to(self.device))
        loss = self.head(embeddings, labels.to(self.device))
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimizer.step()
        return float(loss.detach())

    def _precision(self) -> Any:
        """bfloat16 on a GPU, as its range needs no scaling of the loss."""
        if self.device.type == "cuda":
            return torch.autocast("cuda", dtype=torch.bfloat16)
        return nullcontext()

    def _rate(self, number: int) -> float:
        """Learning rate of a step: up in a line, then down a cosine to a hundredth."""
        total = self.steps * self.settings.epochs
        warm_up = max(int(self.settings.warm_up * total), 1)
        if number < warm_up:
            return self.settings.learning_rate * (number + 1) / warm_up
        done = (number - warm_up) / max(total - warm_up, 1)
        return self.settings.learning_rate * (0.01 + 0.99 * (1 + math.cos(math.pi * done)) / 2)

    def _validate(self, curves: Any) -> None:
        progress = self.progress
        loss = float(np.mean(progress.losses)) if progress.losses else None
        found = Epoch(progress.epoch, loss, self._accuracy(), self._unseen_eer())
        progress.history.append(found)
        progress.losses = []
        curves.add_scalar("accuracy", found.accuracy, progress.epoch)
        curves.add_scalar("unseen_EER", found.eer, progress.epoch)
        history = json.dumps([asdict(one) for one in progress.history], indent=1)
        (self.folder / "history.json").write_text(history)
        if progress.best is found:
            _save(self.network.state_dict(), self.folder / BEST)
        self._keep()

    def _accuracy(self) -> float:
        """How many of the training speakers are known by what was kept back of them."""
        some = self.utterances[:: max(len(self.utterances) // VALIDATED, 1)]
        tails = [one.read(_kept_back(one), int(HEARD_S * RATE)) for one in some]
        cosines = self.head.cosines(self._embed(tails).to(self.device))
        told = cosines.argmax(dim=1).cpu().numpy() // len(SPEEDS)
        return float(
            np.mean([self.speakers[at] == one.speaker for at, one in zip(told, some, strict=True)])
        )

    def _unseen_eer(self) -> float:
        """Pieces of 3 s of different recordings; of the same ones, too, if there are too few."""
        pieces, owners = list[FloatArray](), list[tuple[str, str]]()
        count = int(HEARD_S * RATE)
        for one in self.unseen[:: max(len(self.unseen) // VALIDATED, 1)]:
            for number in range(min(max(one.samples // count, 1), PIECES)):
                pieces.append(one.read(number * count, count))
                owners.append((one.speaker, str(one.path)))
        unit = nn.functional.normalize(self._embed(pieces)).numpy()
        return equal_error_rate(_unseen_trials(unit @ unit.T, owners))[0]

    def _embed(self, waveforms: list[FloatArray]) -> Tensor:
        self.network.eval()
        size = self.settings.batch
        with torch.no_grad(), self._precision():
            batches = [
                self.network(torch.from_numpy(np.stack(waveforms[at : at + size])).to(self.device))
                for at in range(0, len(waveforms), size)
            ]
        return torch.cat(batches).float().cpu()

    def _keep(self) -> None:
        """All that is needed to go on."""
        kept = {
            "settings": asdict(self.settings),
            "corpus": self.corpus,
            "network": self.network.state_dict(),
            "head": self.head.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "progress": asdict(self.progress),
        }
        _save(kept, self.folder / CHECKPOINT)

    def _resume(self) -> None:
        """Raises ModelUnavailable when what is there is another training."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / CHECKPOINT
        if not path.exists():
            return
        kept = torch.load(path, map_location=self.device, weights_only=True)
        if kept["settings"] != asdict(self.settings) or kept["corpus"] != self.corpus:
            raise ModelUnavailable(
                f"In {self.folder} there is a training with other settings or recordings; "
                "start it as before to go on, or choose another name, or add --restart."
            )
        self.network.load_state_dict(kept["network"])
        self.head.load_state_dict(kept["head"])
        self.optimizer.load_state_dict(kept["optimizer"])
        self.progress = Progress(**kept["progress"])
        self.progress.history = [Epoch(**one) for one in kept["progress"]["history"]]


class _Crops(Dataset[tuple[Tensor, int]]):
    """Examples of one epoch, from some place on; each hangs on nothing but its place."""

    def __init__(self, trainer: Trainer, places: list[int], epoch: int) -> None:
        self.places, self.epoch = places, epoch
        self.crops, self.noises = trainer.crops, trainer.noises
        self.settings = trainer.settings
        self.label = {speaker: number for number, speaker in enumerate(trainer.speakers)}

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, number: int) -> tuple[Tensor, int]:
        place = self.places[number]
        one = self.crops[place]
        rng = np.random.default_rng([self.settings.seed, self.epoch, place])
        count = int(self.settings.crop_s * RATE)
        start = int(rng.integers(0, max(_kept_back(one) - count, 0) + 1))
        samples = one.read(start, min(count, max(_kept_back(one) - start, 1)))
        speed = int(rng.integers(len(SPEEDS)))
        samples = at_speed(np.resize(samples, count), SPEEDS[speed])
        label = self.label[one.speaker] * len(SPEEDS) + speed
        return torch.from_numpy(augment_speech(samples, rng, self.noises)), label


def build_network(settings: Settings) -> nn.Module:
    """A fresh network, or WavLM as it was pretrained. Raises ModelUnavailable."""
    if settings.model == "ecapa":
        return EcapaTdnn(settings.channels, augment=SpecAugment())
    if not settings.pretrained:
        raise ModelUnavailable("WavLM is trained from pretrained weights: name their folder.")
    from audiosearch.engine.analyzers.speaker.wavlm_network import load_wavlm

    network = load_wavlm(Path(settings.pretrained))
    network.model.freeze_feature_encoder()
    return network


def _save(kept: Any, path: Path) -> None:
    """A file that appears whole or not at all."""
    draft = path.with_suffix(".part")
    torch.save(kept, draft)
    draft.replace(path)


def _digest(utterances: list[Utterance], noises: list[Path]) -> str:
    """What a training hears; another digest is another training."""
    told = [f"{one.speaker} {one.path.name} {one.samples}" for one in utterances]
    names = [path.name for path in noises]
    return hashlib.sha256("\n".join([*told, *names]).encode()).hexdigest()


def _kept_back(one: Utterance) -> int:
    """The first sample that is not trained on."""
    return int(one.samples * (1 - TAIL))


def _crops(one: Utterance, settings: Settings) -> int:
    """How often an utterance comes up in an epoch."""
    return max(int(_kept_back(one) / (settings.crop_s * RATE)), 1)


def _unseen_trials(scores: FloatArray, owners: list[tuple[str, str]]) -> Trials:
    rows, columns = np.triu_indices(len(owners), k=1)
    speakers, recordings = (
        np.unique(side, return_inverse=True)[1] for side in zip(*owners, strict=True)
    )
    same = speakers[rows] == speakers[columns]
    apart = recordings[rows] != recordings[columns]
    found = scores[rows, columns].astype(np.float64)
    genuine = found[same & apart]
    try:
        return Trials(genuine if len(genuine) >= MIN_TRIALS else found[same], found[~same])
    except ValueError as error:
        raise ValueError(f"Keep more speakers unseen, with more recordings: {error}") from error
