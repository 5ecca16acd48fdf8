"""manage.py evaluate_voices: measure how well voices are told apart, on labelled recordings."""

import json
from argparse import ArgumentParser
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from apps.voices.embedding import voice_encoder
from apps.voices.evaluation import SpeakerEvaluation, apply_points, evaluate_speakers
from apps.voices.labels import read_labelled
from apps.voices.plots import write_plots
from audiosearch.engine.errors import EngineError, ExtraMissing
from audiosearch.engine.extras import with_extras


class Command(BaseCommand):
    help = (
        "Compare every two recordings of known speakers, or the pairs of a trial list: EER, "
        "minDCF, thresholds and probabilities of voices."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("labels", type=Path, help="CSV of path and speaker, or a trial list")
        parser.add_argument("--encoder", default="", help="the one in use when left out")
        parser.add_argument("--far", type=_rate, default=0.001, help="false accepts (0.001)")
        parser.add_argument("--out", type=Path, help="folder for report.json and the plots")
        parser.add_argument(
            "--apply", action="store_true", help="let the thresholds found decide from now on"
        )
        parser.add_argument(
            "--cohort", action="store_true", help="tell scores by these speakers from now on"
        )
        parser.add_argument("--nobody", type=Path, help="folder of sounds that are no voice")
        parser.add_argument("--source", help="what the data is, said with every verdict")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self._evaluate(options)
        except (OSError, ValueError, EngineError) as error:
            raise CommandError(str(error)) from error

    def _evaluate(self, options: dict[str, Any]) -> None:
        encoder = voice_encoder(options["encoder"])
        with tqdm(unit="file", disable=None) as bar:

            def show(what: str, done: int, total: int) -> None:
                bar.total = total
                bar.set_description(what, refresh=False)
                bar.update(done - bar.n)

            found = evaluate_speakers(
                read_labelled(options["labels"]),
                encoder=encoder,
                far_target=options["far"],
                cohort=options["cohort"],
                nobody=options["nobody"],
                progress=show,
            )
        self._table(found)
        source = options["source"] or str(options["labels"].resolve().name)
        voices = f", {found.speakers} voices" if found.identified else ""
        source = f"{source}: {found.recordings} recordings{voices}"
        if options["out"]:
            self._write(found, options["out"], source)
        if options["apply"]:
            apply_points(found, source)
            self.stdout.write("These thresholds decide from now on.")

    def _write(self, found: SpeakerEvaluation, folder: Path, source: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        report = found.as_json() | {"source": source}
        (folder / "report.json").write_text(json.dumps(report, indent=1))
        if found.cohort is not None:
            np.save(folder / "cohort.npy", found.cohort.astype(np.float16))
        try:
            with_extras(partial(write_plots, found.trials, folder), self.stdout.write)
        except ExtraMissing as missing:
            self.stderr.write(f"No plots: {missing}")
        self.stdout.write(f"The report is in {folder}.")

    def _table(self, found: SpeakerEvaluation) -> None:
        self.stdout.write(
            f"{found.space}: {found.recordings} recordings of {found.speakers} speakers, "
            f"{len(found.unheard)} without speech left out"
        )
        self.stdout.write(
            "condition        EER  by cosine  at score  minDCF .01  .001     F1  pairs"
        )
        for one in found.conditions:
            first, second = one.min_dcf.values()
            self.stdout.write(
                f"{one.name:13} {one.eer:6.2%}  {one.cosine_eer:9.2%}  {one.eer_threshold:8.3f}"
                f"  {first:10.3f} {second:5.3f}  {one.f1:5.3f}  {one.genuine}+{one.impostor}"
            )
        self.stdout.write(f"thresholds for at most {found.far_target:.2%} false accepts:")
        for point in found.points:
            self.stdout.write(
                f"from {point.min_ms / 1000:4.1f} s  {point.threshold:.3f}  "
                f"false accepts {point.far:.3%}  false rejects {point.frr:.2%}"
            )
        if found.identified:
            known = found.identified
            self.stdout.write(
                f"identifying each among the others: the right one nearest {known.nearest} of "
                f"{known.known}, accepted {known.right}, as somebody else {known.wrong}; "
                f"strangers taken for somebody {known.taken} of {known.strangers}"
            )
        if found.rejected:
            nobody = found.rejected
            self.stdout.write(
                f"{nobody.files} sounds of nobody: {nobody.silent} without speech, "
                f"{nobody.accepted} accepted as one of {found.speakers} speakers "
                f"(nearest {nobody.nearest or 0:.3f})"
            )


def _rate(text: str) -> float:
    rate = float(text)
    if not 0 < rate < 1:
        raise ValueError
    return rate
