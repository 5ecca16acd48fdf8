"""manage.py check_index: what differs between the database, the files and the index."""

from collections import Counter
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.analysis.drift import find_drift, repair
from apps.analysis.reconcile import reconcile
from audiosearch.engine.errors import EngineError, IndexUnavailable, IndexUnreadable

SHOWN = 20


class Command(BaseCommand):
    help = "Compare the database, the files and the index, for every kind of space."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--repair", action="store_true", help="settle what differs")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            if options["repair"]:
                reconcile()
            drifts = find_drift()
            for kind, count in Counter(drift.kind for drift in drifts).items():
                self.stdout.write(f"{count} × {kind}")
            for drift in drifts[:SHOWN]:
                self.stdout.write(f"  {drift.message}")
            if options["repair"] and drifts:
                repair(drifts)
                self.stdout.write(f"{len(drifts)} differences repaired, or queued to be.")
            elif drifts:
                advice = "./manage check_index --repair"
                raise CommandError(f"The catalogue has drifted; repair it: {advice}")
        except IndexUnreadable as error:
            raise CommandError(f"{error} That takes a running service: ./run") from error
        except IndexUnavailable as error:
            raise CommandError(f"{error} Start the service (./run), then check again.") from error
        except EngineError as error:
            raise CommandError(str(error)) from error
        if not drifts:
            self.stdout.write("Database, files and index agree.")
