"""manage.py evaluate_search: measure how well an encoder finds what sounds alike."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from apps.analysis.spaces import active_space
from apps.search.evaluation import evaluate_retrieval, read_labels
from audiosearch.engine.errors import EngineError


class Command(BaseCommand):
    help = "Let every labelled file search all others: P@1, P@10, mAP, and recall of the index."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("labels", type=Path, help="CSV with path, label, and maybe group")
        parser.add_argument("--encoder", help="the one in use when left out")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            name = options["encoder"] or active_space().analyzer
            labelled = read_labels(options["labels"])
            with tqdm(total=len(labelled), unit="file", disable=None) as bar:
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
        self.stdout.write(f"embedding        {found.seconds_per_file * 1000:.0f} ms a file")
