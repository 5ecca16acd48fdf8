"""manage.py evaluate: measure how well the service finds, on files with labels."""

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from apps.catalog.evaluation import evaluate_retrieval, read_labels
from apps.catalog.spaces import current_space
from audiosearch.engine.errors import EngineError


class Command(BaseCommand):
    help = "evaluate retrieval LABELS.csv: P@1, P@10, mAP, and recall of the index."

    def add_arguments(self, parser: ArgumentParser) -> None:
        what = parser.add_subparsers(dest="what", required=True)
        retrieval = what.add_parser("retrieval", help="leave-one-out search among labelled files")
        retrieval.add_argument("labels", type=Path, help="CSV with path, label, and maybe group")
        retrieval.add_argument("--encoder", help="the one in use when left out")

    def handle(self, *args: Any, **options: Any) -> None:
        name = options["encoder"] or current_space().encoder
        try:
            labelled = read_labels(options["labels"])
            with tqdm(total=len(labelled), unit="file", disable=not sys.stderr.isatty()) as bar:
                found = evaluate_retrieval(labelled, name, lambda _: bar.update())
        except (OSError, ValueError, EngineError) as error:
            raise CommandError(str(error)) from error
        figures = found.retrieval
        self.stdout.write(f"encoder          {name}")
        self.stdout.write(f"queries          {figures.queries}")
        self.stdout.write(f"P@1              {figures.precision_at_1:.3f}")
        self.stdout.write(f"P@10             {figures.precision_at_10:.3f}")
        self.stdout.write(f"mAP              {figures.mean_average_precision:.3f}")
        self.stdout.write(f"index recall@10  {found.index_recall:.3f} (against exact search)")
        self.stdout.write(f"listening        {found.seconds_per_file * 1000:.0f} ms a file")
