"""manage.py backup DIR: copy database, files and vectors while the service runs, or verify that."""

from argparse import ArgumentParser, ArgumentTypeError
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from apps.ops.backups.folders import NoBackup
from apps.ops.backups.making import CannotBackUp
from apps.ops.backups.recording import back_up_and_record
from apps.ops.backups.verifying import Verified, verify
from apps.ops.management.progress import shown_progress


class Command(BaseCommand):
    help = (
        "Copy all that cannot be made anew into a folder: database, recordings, vectors. The "
        "service may run. A backup that is there is brought up to date."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", type=Path)
        parser.add_argument(
            "--keep",
            type=_generations,
            default=0,
            metavar="N",
            help="add a generation beside those that are there, and keep the newest N",
        )
        parser.add_argument(
            "--verify",
            action="store_true",
            help="make none: read those that are there, and compare every file with its checksum",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["verify"]:
            self._verify(options["folder"])
        else:
            self._back_up(options["folder"], options["keep"])

    def _back_up(self, folder: Path, keep: int) -> None:
        try:
            with shown_progress() as told:
                made = back_up_and_record(folder, told, keep)
        except CannotBackUp as error:
            raise CommandError(str(error)) from error
        except (OSError, DatabaseError) as error:
            raise CommandError(f"The backup is not whole: {error}") from error
        rows = sum(made.manifest["rows"].values())
        self.stdout.write(
            f"{rows} rows and {made.manifest['files']} files are in {made.folder}. It holds "
            "personal data and passwords' hashes; keep it safe. The secret key is not in it."
        )
        if made.damaged:
            raise CommandError(
                f"{_listed(made.damaged)}\nAll else is backed up. Put a good copy in the place of "
                "each in DATA_DIR/media, or delete the recording."
            )

    def _verify(self, folder: Path) -> None:
        try:
            with shown_progress() as told:
                found = verify(folder, told)
        except (NoBackup, OSError) as error:
            raise CommandError(str(error)) from error
        for each in found:
            self._tell(each)
        if bad := [each for each in found if each.problems]:
            raise CommandError(
                "\n".join(f"{each.folder} is not intact:\n{_listed(each.problems)}" for each in bad)
            )

    def _tell(self, found: Verified) -> None:
        if found.problems:
            return
        self.stdout.write(f"{found.folder} is intact: {found.files} files.")
        if damaged := found.manifest["damaged"]:
            self.stdout.write(f"When it was made, these were damaged:\n{_listed(damaged)}")


def _generations(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError("it must be a whole number from 1")
    return int(text)


def _listed(problems: dict[str, str]) -> str:
    return "\n".join(f"{name}: {problem}" for name, problem in problems.items())
