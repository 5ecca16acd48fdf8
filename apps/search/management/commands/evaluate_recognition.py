"""manage.py evaluate_recognition: measure how well the catalogue's own tracks are recognised."""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from apps.search.recognition_evaluation import RecognitionEvaluation, evaluate_recognition
from audiosearch.engine.errors import EngineError
from audiosearch.engine.scoring.recognition import (
    recognition_rows,
    reliability_lines,
    reliability_rows,
)


class Command(BaseCommand):
    help = (
        "Ask for excerpts of the catalogue's own tracks, as they are and made worse, with each "
        "track in the catalogue and with it left out: what is found, and what is wrongly accepted."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--tracks", type=int, default=50, help="how many, by chance (50)")
        parser.add_argument("--seed", type=int, default=1, help="of tracks, moments, noise, rooms")
        parser.add_argument(
            "--as-recorded", action="store_true", help="try no other speed and pitch; it is quicker"
        )
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["tracks"] < 1:
            raise CommandError("At least one track is needed.")
        try:
            with tqdm(total=options["tracks"], unit="track", disable=None) as bar:
                found = evaluate_recognition(
                    most=options["tracks"],
                    seed=options["seed"],
                    as_recorded=options["as_recorded"],
                    progress=lambda done, of: _move(bar, done, of),
                )
        except (OSError, ValueError, EngineError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(_as_json(found) if options["json"] else _as_text(found))


def _move(bar: Any, done: int, of: int) -> None:
    bar.total = of
    bar.update(done - bar.n)


def _as_json(found: RecognitionEvaluation) -> str:
    told = {
        "tracks": found.tracks,
        "unusable": found.unusable,
        "copies": found.copies,
        "rows": [asdict(row) for row in recognition_rows(found.found)],
        "reliability": [asdict(row) for row in reliability_rows(found.found)],
    }
    return json.dumps(told)


def _as_text(found: RecognitionEvaluation) -> str:
    lines = [
        f"tracks asked for {found.tracks}, with {found.copies} copies of them in the catalogue; "
        f"{found.unusable} could not be used",
        "",
        f"{'condition':14}{'s':>4}{'n':>6}{'top-1':>7}{'match':>7}{'.25 s':>7}{'off, ms':>9}"
        f"{'left out, yet a match':>24}",
    ]
    for row in recognition_rows(found.found):
        strange = f"{row.strangers_accepted} of {row.strangers}"
        lines.append(
            f"{row.condition:14}{row.seconds:4}{row.excerpts:6}{row.top_1:7.2f}{row.accepted:7.2f}"
            f"{row.in_time:7.2f}{row.off_ms:9.0f}{strange:>24}"
        )
    lines += ["", *reliability_lines(found.found)]
    return "\n".join(lines)
