"""manage.py backup DIR: copy database, files and vectors while the service runs."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.ops.backup import CannotBackUp, back_up
from apps.ops.management.progress import shown_progress


class Command(BaseCommand):
    help = (
        "Copy all that cannot be made anew into a folder: database, recordings, vectors. The "
        "service may run. A backup that is there is brought up to date."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", type=Path)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with shown_progress() as told:
                made = back_up(options["folder"], told)
        except CannotBackUp as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise CommandError(f"The backup is not whole: {error}") from error
        rows = sum(made["rows"].values())
        self.stdout.write(
            f"{rows} rows and {made['files']} files are in {options['folder']}. It holds personal "
            "data and passwords' hashes; keep it safe. The secret key is not in it."
        )
