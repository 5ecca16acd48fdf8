"""manage.py import: add folders, zip files and single files to the catalogue."""

import sys
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from apps.analysis.spaces import active_space, progress_of
from apps.catalog.models import Collection, Kind
from apps.catalog.services.collections import get_or_create_collection
from apps.catalog.services.importing import Source, Summary, find_sources, import_sources
from audiosearch.engine.errors import Conflict, TooLarge

SHOWN_REFUSALS = 20


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

    def handle(self, *args: Any, **options: Any) -> None:
        sources = self._find(options["paths"])
        user = _user(options["user"])
        collection = _collection((options["collection"] or "").strip(), user)
        summary = Summary()
        done = import_sources(
            sources,
            summary=summary,
            added_by=user,
            collection=collection,
            tags=options["tag"],
            folder_tags=options["folder_tags"],
            kind=options["kind"],
        )
        began = time.monotonic()
        with tqdm(total=len(sources), unit="file", disable=not sys.stderr.isatty()) as bar:
            for source in done:
                bar.update()
                bar.set_postfix_str(source.name[-30:], refresh=False)
        self._report(summary, len(sources), time.monotonic() - began)
        if options["wait"]:
            self._wait()

    def _find(self, paths: list[Path]) -> list[Source]:
        missing = [str(path) for path in paths if not path.exists()]
        if missing:
            raise CommandError(f"There is no such file or folder: {', '.join(missing)}")
        try:
            sources = list(find_sources(paths))
        except TooLarge as error:
            raise CommandError(str(error)) from error
        if not sources:
            raise CommandError("There are no audio files in what you named.")
        return sources

    def _report(self, summary: Summary, total: int, seconds: float) -> None:
        rate = total / seconds if seconds else 0.0
        self.stdout.write(
            f"{summary.added} added, {summary.already_there} already there, "
            f"{len(summary.refused)} refused; "
            f"{total} files in {seconds:.1f} s ({rate:.1f} a second)."
        )
        for _, reason in summary.refused[:SHOWN_REFUSALS]:
            self.stdout.write(f"  refused: {reason}")
        if len(summary.refused) > SHOWN_REFUSALS:
            self.stdout.write(f"  … and {len(summary.refused) - SHOWN_REFUSALS} more.")
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
