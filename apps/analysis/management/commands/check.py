"""manage.py check: Django's own checks, then what differs between database, files and index."""

from collections import Counter
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.core.management.commands.check import Command as DjangoCheck

from apps.analysis.reconcile import find_drift, mend, repair
from audiosearch.engine.errors import IndexUnavailable

SHOWN = 20


class Command(DjangoCheck):
    help = "Check the settings, and compare the database, the files and the index."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--repair", action="store_true", help="mend what differs")
        parser.add_argument(
            "--settings-only", action="store_true", help="leave the catalogue alone"
        )
        parser.set_defaults(databases=["default"])

    def handle(self, *args: Any, **options: Any) -> None:
        settings_only = options["settings_only"] or options["deploy"]
        super().handle(*args, **options | ({"databases": None} if settings_only else {}))
        if settings_only or options["list_tags"]:
            return
        try:
            if options["repair"]:
                mend()
            drifts = find_drift()
            for kind, count in Counter(drift.kind for drift in drifts).items():
                self.stdout.write(f"{count} × {kind}")
            for drift in drifts[:SHOWN]:
                self.stdout.write(f"  {drift.message}")
            if options["repair"] and drifts:
                repair(drifts)
                self.stdout.write(f"{len(drifts)} differences mended, or queued to be.")
            elif drifts:
                raise CommandError("The catalogue has drifted; mend it: manage.py check --repair")
        except IndexUnavailable as error:
            raise CommandError(f"{error} Start the service (./run), then check again.") from error
        if not drifts:
            self.stdout.write("Database, files and index agree.")
