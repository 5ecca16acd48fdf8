"""manage.py train_tune_projection: make the vectors of tunes anew, from seeds."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand
from tqdm import tqdm

from audiosearch.engine.tunes.projection import PATH, save_projection
from audiosearch.engine.tunes.training import SONGS, train


class Command(BaseCommand):
    help = "Train the projection of tunes' windows on songs and hums that are made from seeds."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--songs", type=int, default=SONGS)
        parser.add_argument("--to", type=Path, default=PATH, help="the file to write")

    def handle(self, *args: Any, **options: Any) -> None:
        with tqdm(total=options["songs"], unit="song", desc="Training") as bar:

            def progress(_: str, done: int, of: int) -> None:
                bar.update(done - bar.n)

            made = train(progress, songs=options["songs"])
        save_projection(made, options["to"])
        self.stdout.write(f"{options['to']}: {options['to'].stat().st_size / 1000:.0f} kB")
