"""manage.py check_index: what differs between the database, the files and the index."""

from collections import Counter
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import Sum
from tqdm import tqdm

from apps.analysis.drift import (
    BECOMES,
    FILE_MISSING,
    RECORDING_DAMAGED,
    Drift,
    find_drift,
    repair,
)
from apps.analysis.reconcile import reconcile
from apps.analysis.verifying import verify
from apps.catalog.models import Track
from audiosearch.engine.errors import EngineError, IndexUnavailable, IndexUnreadable

SHOWN = 20


class Command(BaseCommand):
    help = "Compare the database, the files and the index, for every kind of space."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--repair", action="store_true", help="settle what differs")
        parser.add_argument(
            "--verify", action="store_true", help="read everything, and compare it with its SHA-256"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            if options["repair"]:
                reconcile()
            found = [*find_drift(), *(self._verify() if options["verify"] else ())]
            # What both tell of is told once, with the name of the file.
            each = {(one.kind, one.item_id, one.space, one.name): one for one in found}
            drifts = list(each.values())
            self._tell(drifts)
            if options["repair"] and drifts:
                repair(drifts)
                self.stdout.write(f"{len(drifts)} differences repaired, or queued to be.")
        except IndexUnreadable as error:
            raise CommandError(f"{error} That takes a running service: ./run") from error
        except IndexUnavailable as error:
            raise CommandError(f"{error} Start the service (./run), then check again.") from error
        except EngineError as error:
            raise CommandError(str(error)) from error
        if drifts and not options["repair"]:
            again = "./manage check_index --verify --repair"
            advice = again if options["verify"] else again.replace(" --verify", "")
            raise CommandError(f"The catalogue has drifted; repair it: {advice}")
        lost = sum(drift.kind in (FILE_MISSING, RECORDING_DAMAGED) for drift in drifts)
        if lost and options["verify"]:
            raise CommandError(
                f"{lost} recordings are gone or damaged. Put them back from a backup, which is "
                "noticed by itself, or delete their tracks."
            )
        if not drifts:
            self.stdout.write("Database, files and index agree.")

    def _verify(self) -> list[Drift]:
        tracks = Track.objects.order_by("pk")
        size = tracks.aggregate(size=Sum("size_bytes"))["size"] or 0
        with tqdm(total=size, unit="B", unit_scale=True, disable=None) as bar:
            read = list[int]()

            def told(track: Track) -> None:
                bar.update(track.size_bytes)
                read.append(track.size_bytes)

            found = list(verify(tracks, told))
        self.stdout.write(f"{len(read)} tracks read, {sum(read) / 2**30:.2f} GB of recordings.")
        return found

    def _tell(self, drifts: list[Drift]) -> None:
        for kind, count in Counter(drift.kind for drift in drifts).items():
            becomes = f": {BECOMES[kind]} by --repair" if kind in BECOMES else ""
            self.stdout.write(f"{count} × {kind}{becomes}")
        for drift in drifts[:SHOWN]:
            self.stdout.write(f"  {drift.message}")
        if len(drifts) > SHOWN:
            self.stdout.write(f"  and {len(drifts) - SHOWN} more")
