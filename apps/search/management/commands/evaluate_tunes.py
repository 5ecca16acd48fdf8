"""manage.py evaluate_tunes: measure how well hums find the songs that they are of."""

import json
from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from apps.search.tune_evaluation import (
    Hummed,
    evaluate_hums,
    hum_rows,
    read_hums,
    told_probabilities,
)
from audiosearch.engine.errors import EngineError
from audiosearch.engine.scoring.recognition import reliability_lines, reliability_rows


class Command(BaseCommand):
    help = (
        "Ask for labelled hums, with the songs that they are of in the catalogue and with these "
        "left out: what is found, and what is wrongly accepted."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "labels",
            type=Path,
            help="CSV with path, track (its number, title or file name; several by |; empty: none "
            "here), and maybe condition, by which rows are told",
        )
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            labelled = read_hums(options["labels"])
            with tqdm(total=len(labelled), unit="hum", disable=None) as bar:
                found = evaluate_hums(labelled, lambda _: bar.update())
        except (OSError, ValueError, EngineError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(_as_json(found) if options["json"] else _as_text(found))


def _as_json(found: Sequence[Hummed]) -> str:
    told = {
        "rows": [asdict(row) for row in hum_rows(found)],
        "reliability": [asdict(row) for row in reliability_rows(told_probabilities(found))],
    }
    return json.dumps(told)


def _as_text(found: Sequence[Hummed]) -> str:
    lines = [
        f"{'condition':20}{'n':>6}{'top-1':>7}{'top-10':>8}{'MRR':>6}{'match':>7}"
        f"{'left out, yet a match':>24}"
    ]
    for row in hum_rows(found):
        strange = f"{row.strangers_accepted} of {row.strangers}"
        lines.append(
            f"{row.condition:20}{row.hums:6}{row.top_1:7.2f}{row.top_10:8.2f}{row.mrr:6.2f}"
            f"{row.accepted:7.2f}{strange:>24}"
        )
    lines += ["", *reliability_lines(told_probabilities(found))]
    return "\n".join(lines)
