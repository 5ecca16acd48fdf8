"""manage.py restore DIR: put a backup into an empty installation."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.core.serializers.base import DeserializationError
from django.db import DatabaseError

from apps.ops.backups.restoring import CannotRestore, restore
from apps.ops.management.progress import shown_progress


class Command(BaseCommand):
    help = (
        "Put a backup, or the newest whole one of a folder of generations, into an empty "
        "installation; the index is then rebuilt from the vectors."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", type=Path)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with shown_progress() as told:
                done = restore(options["folder"], told)
        except (CannotRestore, OSError, DatabaseError, DeserializationError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(
            f"The backup of {done.manifest['made_at']} is restored, with its users and passwords, "
            f"from {done.folder}. A running service brings the index up to date within minutes; "
            "else start it: ./run"
        )
        for name, problem in done.manifest.get("damaged", {}).items():
            self.stdout.write(f"When the backup was made: {name}: {problem}")
        if done.damaged:
            names = "\n".join(done.damaged)
            raise CommandError(f"These files of the backup are missing or damaged:\n{names}")
