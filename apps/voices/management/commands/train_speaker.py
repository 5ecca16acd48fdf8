"""manage.py train_speaker: train a voice encoder on recordings whose speakers are known."""

import re
import shutil
import sys
from argparse import ArgumentParser
from dataclasses import fields
from functools import partial
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from django.conf import settings as django_settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from tqdm import tqdm

from apps.voices.labels import read_speakers
from audiosearch.engine.analyzers.model_store import alone_in
from audiosearch.engine.analyzers.registry import ANALYZERS
from audiosearch.engine.analyzers.speaker.trained import install_trained
from audiosearch.engine.audio.formats import SUFFIXES
from audiosearch.engine.errors import EngineError
from audiosearch.engine.extras import needs, with_extras

LEAST_SPEAKERS = 2
NAME = re.compile(r"[A-Za-z0-9_]{1,60}")
SMALLER = {"wavlm": {"learning_rate": 5e-5, "batch": 8}}
"""A pretrained network is tuned more gently."""


class Command(BaseCommand):
    help = (
        "Train a voice encoder (ECAPA-TDNN or WavLM); stop it with Ctrl-C and start it again to "
        "go on. The result is an encoder by the name given."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--data", type=Path, required=True, help="CSV with path and speaker")
        parser.add_argument("--model", choices=["ecapa", "wavlm"], default="ecapa")
        parser.add_argument("--name", required=True, help="what the encoder will be called")
        parser.add_argument(
            "--validation", type=Path, help="CSV of speakers to keep unseen, else a tenth of all"
        )
        parser.add_argument("--noise", type=Path, help="folder of sounds to put behind the voices")
        parser.add_argument("--restart", action="store_true", help="forget what was trained before")
        parser.add_argument("--channels", type=int, help="of ECAPA: 512 (default) or 1024")
        parser.add_argument("--pretrained", help="folder with WavLM to begin with")
        parser.add_argument("--loss", choices=["aam", "am"])
        parser.add_argument("--margin", type=float)
        parser.add_argument("--scale", type=float)
        parser.add_argument("--crop-s", type=float, help="seconds of each example (2)")
        parser.add_argument("--batch", type=int)
        parser.add_argument("--epochs", type=int, help="at most so many (20)")
        parser.add_argument("--patience", type=int, help="epochs without gain before the end (5)")
        parser.add_argument("--learning-rate", type=float)
        parser.add_argument("--seed", type=int)

    def handle(self, *args: Any, **options: Any) -> None:
        if not NAME.fullmatch(options["name"]) or options["name"] in ANALYZERS:
            raise CommandError(
                "A name is made of letters, digits and underscores, and not one of "
                f"{', '.join(ANALYZERS)}."
            )
        try:
            with alone_in(django_settings.MODELS_DIR / options["name"]):
                self._train(options)
        except KeyboardInterrupt:
            raise CommandError(
                "Stopped; the same command (without --restart) goes on from the last checkpoint."
            ) from None
        except (OSError, ValueError, EngineError) as error:
            raise CommandError(str(error)) from error

    def _train(self, options: dict[str, Any]) -> None:
        trainers = with_extras(partial(_trainers, options["model"]), self.stdout.write)
        folder = django_settings.MODELS_DIR / options["name"]
        kept = folder / "training"
        if options["restart"]:
            shutil.rmtree(kept, ignore_errors=True)
        chosen = {
            one.name: options[one.name]
            for one in fields(trainers.Settings)
            if options.get(one.name) is not None
        }
        asked = trainers.Settings(**(SMALLER.get(options["model"], {}) | chosen))
        training, unseen = self._speech(options, folder / "speech", asked.seed)
        noises = self._noises(options["noise"], folder / "noise")
        with _Bar() as bar:
            trainer = trainers.Trainer(asked, training, unseen, kept, noises=noises, said=bar.show)
            self.stdout.write(
                f"{len(training)} recordings of {len(trainer.speakers)} speakers, "
                f"{trainer.steps} steps an epoch, on {trainer.device.type}"
            )
            progress = trainer.run()
        for one in progress.history:
            loss = "" if one.loss is None else f"loss {one.loss:.3f}  "
            self.stdout.write(
                f"epoch {one.epoch:3}  {loss}accuracy {one.accuracy:.3f}  "
                f"EER of unseen speakers {one.eer:.2%}"
            )
        source = f"trained on {options['data'].name}, {timezone.localdate()}"
        cosine = install_trained(
            folder,
            trainer.best_network(),
            kept / trainers.BEST,
            title=f"{asked.model}, {source}",
            source=source,
        )
        shutil.rmtree(folder / "speech")
        shutil.rmtree(folder / "noise", ignore_errors=True)
        self.stdout.write(
            f"Epoch {progress.best.epoch} was best. Exported (cosine to PyTorch {cosine:.6f}).\n"
            f"Measure it: ./manage evaluate_voices LABELS.csv --encoder {options['name']} "
            f"--apply\nUse it: VOICE_ENCODER={options['name']}"
        )

    def _noises(self, folder: Path | None, kept: Path) -> list[Path]:
        """What is kept of the sounds of a folder that can be decoded."""
        if not folder:
            return []
        from audiosearch.engine.training.corpus import cut_noises

        sounds = [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in SUFFIXES]
        found, left_out = cut_noises(sounds, kept)
        for line in left_out:
            self.stderr.write(f"left out: {line}")
        return found

    def _speech(
        self, options: dict[str, Any], folder: Path, seed: int
    ) -> tuple[list[Any], list[Any]]:
        """Utterances to train on, and of unseen speakers."""
        from audiosearch.engine.training.corpus import cut_speech

        labelled = read_speakers(options["data"])
        kept = read_speakers(options["validation"]) if options["validation"] else []
        with tqdm(desc="speech", total=len(labelled) + len(kept), disable=None) as bar:
            found, left_out = cut_speech(labelled, folder, lambda _: bar.update())
            unseen, others = cut_speech(kept, folder, lambda _: bar.update())
        for line in [*left_out, *others]:
            self.stderr.write(f"left out: {line}")
        if not options["validation"]:
            names = np.random.default_rng(seed).permutation(sorted({one.speaker for one in found}))
            hidden = set(names[: max(len(names) // 10, LEAST_SPEAKERS)].tolist())
            unseen = [one for one in found if one.speaker in hidden]
        hidden = {one.speaker for one in unseen}
        training = [one for one in found if one.speaker not in hidden]
        if min(len({one.speaker for one in training}), len(hidden)) < LEAST_SPEAKERS:
            raise ValueError(
                f"At least {LEAST_SPEAKERS} speakers to train on and {LEAST_SPEAKERS} to keep "
                "unseen are needed, better hundreds."
            )
        return training, unseen


def _trainers(model: str) -> ModuleType:
    """The module that trains. Raises ExtraMissing without the packages that such a model needs."""
    with needs("wavlm" if model == "wavlm" else "torch"):
        if model == "wavlm":
            import_module("audiosearch.engine.analyzers.speaker.wavlm_network")
        return import_module("audiosearch.engine.training.trainer")


class _Bar:
    """A progress bar for each epoch."""

    def __init__(self) -> None:
        self.bar: Any = None
        self.epoch = 0

    def __enter__(self) -> "_Bar":
        return self

    def __exit__(self, *error: object) -> None:
        if self.bar is not None:
            self.bar.close()

    def show(self, epoch: int, step: int, steps: int, loss: float) -> None:
        if not sys.stderr.isatty():
            return
        if epoch != self.epoch:
            if self.bar is not None:
                self.bar.close()
            self.bar = tqdm(desc=f"epoch {epoch}", total=steps, initial=step - 1)
            self.epoch = epoch
        self.bar.set_postfix(loss=f"{loss:.3f}")
        self.bar.update(step - self.bar.n)
