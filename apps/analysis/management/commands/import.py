"""manage.py import: add folders, zip files and single files to the catalogue."""

import csv
import sys
import time
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from apps.analysis.spaces import active_space, progress_of
from apps.catalog.models import Collection, Kind
from apps.catalog.services.collections import get_or_create_collection
from apps.catalog.services.finding import Found, find_sources
from apps.catalog.services.importing import (
    ADDED,
    PASSED_OVER,
    REFUSED,
    THERE,
    Outcome,
    Summary,
    import_sources,
)
from audiosearch.engine.errors import Conflict, OverQuota, TooLarge

SHOWN = 20
GOES_ON = "Start the same import again, and it goes on where it stopped."
INTERRUPTED = 130
"""What a program returns that was ended by Ctrl-C."""


class Command(BaseCommand):
    help = (
        "Add audio files, folders and zip files to the catalogue. What is there already is passed "
        "over, so an import that was interrupted is simply started again."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("paths", nargs="+", type=Path, metavar="PATH")
        parser.add_argument("--collection", help="put them in this collection (made if new)")
        parser.add_argument("--tag", action="append", default=[], help="a tag for all; repeatable")
        parser.add_argument(
            "--folder-tags", action="store_true", help="tag each file with the name of its folder"
        )
        parser.add_argument("--kind", choices=Kind.values, default="", help="default: by its tags")
        parser.add_argument("--user", help="the username they are added by")
        parser.add_argument("--wait", action="store_true", help="wait until all is listened to")
        parser.add_argument(
            "--report", type=Path, metavar="FILE.csv", help="what came of each file, and why"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        missing = [str(path) for path in options["paths"] if not path.exists()]
        if missing:
            raise CommandError(f"There is no such file or folder: {', '.join(missing)}")
        summary, began = Summary(), time.monotonic()
        try:
            with _report(options["report"]) as write:
                for done in self._import(**options):
                    summary.count(done)
                    write(done)
        except KeyboardInterrupt as error:
            self._tell(summary, time.monotonic() - began)
            raise CommandError(f"Interrupted. {GOES_ON}", returncode=INTERRUPTED) from error
        except OverQuota as error:
            self._tell(summary, time.monotonic() - began)
            raise CommandError(f"Stopped. {error} {GOES_ON}") from error
        self._tell(summary, time.monotonic() - began)
        if not summary.counts.total() - summary.counts[PASSED_OVER]:
            raise CommandError("There are no audio files in what you named.")
        if options["wait"]:
            self._wait()

    def _import(self, **options: Any) -> Iterator[Outcome]:
        sources = _found(options["paths"])
        user = _user(options["user"])
        done = import_sources(
            sources,
            added_by=user,
            collection=_collection((options["collection"] or "").strip(), user),
            tags=options["tag"],
            folder_tags=options["folder_tags"],
            kind=options["kind"],
        )
        with tqdm(total=len(sources), unit="file", disable=not sys.stderr.isatty()) as bar:
            for each in done:
                bar.update()
                bar.set_postfix_str(each.where[-30:], refresh=False)
                yield each

    def _tell(self, summary: Summary, seconds: float) -> None:
        counts = summary.counts
        total = counts.total() - counts[PASSED_OVER]
        rate = total / seconds if seconds else 0.0
        parts = ", ".join(f"{counts[each]} {each}" for each in (ADDED, THERE, REFUSED))
        passed = f", {counts[PASSED_OVER]} passed over" if counts[PASSED_OVER] else ""
        self.stdout.write(
            f"{parts}{passed}; {total} files in {seconds:.1f} s ({rate:.1f} a second)."
        )
        for outcome in (REFUSED, PASSED_OVER):
            told = [each for each in summary.left_out if each.outcome == outcome]
            for each in told[:SHOWN]:
                self.stdout.write(f"  {outcome}: {each.where}: {each.reason}")
            if len(told) > SHOWN:
                more = f"  … and {len(told) - SHOWN} more; --report FILE.csv names all of them."
                self.stdout.write(more)
        waiting = progress_of(active_space())
        if waiting.queued or waiting.listening:
            self.stdout.write(
                f"{waiting.queued + waiting.listening} are waiting to be listened to; "
                "the worker that ./run starts does that."
            )

    def _wait(self) -> None:
        progress = progress_of(active_space())
        with tqdm(
            total=progress.total,
            initial=progress.done,
            unit="track",
            desc="Listening",
            disable=not sys.stderr.isatty(),
        ) as bar:
            while progress.queued or progress.listening:
                time.sleep(0.5)
                progress = progress_of(active_space())
                bar.total = progress.total
                bar.n = progress.done
                bar.refresh()
        self.stdout.write(f"Listened: {progress.ready} ready, {progress.failed} failed.")


def _found(paths: list[Path]) -> list[Found]:
    try:
        return list(find_sources(paths))
    except TooLarge as error:
        raise CommandError(str(error)) from error


@contextmanager
def _report(path: Path | None) -> Iterator[Callable[[Outcome], object]]:
    """What writes one line of the report, or nothing if none was asked for."""
    if path is None:
        yield lambda done: None
        return
    try:
        file = path.open("w", newline="", encoding="utf-8")
    except OSError as error:
        raise CommandError(f"The report cannot be written: {error}") from error
    with file:
        writer = csv.writer(file)
        writer.writerow(["file", "outcome", "reason"])
        yield lambda done: writer.writerow([done.where, done.outcome, done.reason])


def _user(username: str | None) -> Any:
    if not username:
        return None
    user = get_user_model().objects.filter(username=username).first()
    if user is None:
        raise CommandError(f'There is no user "{username}".')
    return user


def _collection(name: str, user: Any) -> Collection | None:
    try:
        return get_or_create_collection(name, by=user) if name else None
    except Conflict as error:
        raise CommandError(str(error)) from error
