"""manage.py scan: which recordings of the catalogue were played when in long files."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from apps.catalog.templatetags.sound import clock, likely, percent
from apps.monitoring.formats import FORMATS, as_json
from apps.monitoring.play_logs import ShownLog, kept_plays, play_log_of
from apps.monitoring.scanning import inspect_recording, scan_file
from apps.search.results import SearchSettings
from audiosearch.engine.errors import EngineError


class Command(BaseCommand):
    help = "Tell which recordings of the catalogue were played when in each file, here and now."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("files", nargs="+", type=Path)
        parser.add_argument("--as", dest="user", help="with what this user may know of; all else")
        shapes = parser.add_mutually_exclusive_group()
        shapes.add_argument("--json", action="store_const", const="json", dest="kind")
        shapes.add_argument("--csv", action="store_const", const="csv", dest="kind")
        shapes.add_argument("--cue", action="store_const", const="cue", dest="kind")

    def handle(self, *args: Any, **options: Any) -> None:
        by = _user(options["user"]) if options["user"] else None
        failed = 0
        for path in options["files"]:
            try:
                log = _scanned(path, by)
            except (OSError, EngineError) as error:
                failed += 1
                self.stderr.write(f"{path}: {error}")
                continue
            self.stdout.write(_told(path, log, options["kind"]).rstrip())
        if failed:
            raise CommandError(f"{failed} of {len(options['files'])} files could not be scanned.")


def _user(name: str) -> Any:
    users = get_user_model()
    try:
        return users.objects.get_by_natural_key(name)
    except users.DoesNotExist as error:
        raise CommandError(f"There is no user {name}.") from error


def _scanned(path: Path, by: Any) -> ShownLog:
    seconds = inspect_recording(path).duration_ms // 1000
    with tqdm(total=seconds, unit="s", desc=path.name, disable=None) as bar:

        def heard(ms: int) -> bool:
            bar.update(ms // 1000 - bar.n)
            return True

        log = scan_file(path=path, asked=SearchSettings(), by=by, heard=heard)
    assert log is not None  # noqa: S101 - nobody cancels it
    return play_log_of(log.duration_ms, kept_plays(log), by)


def _told(path: Path, log: ShownLog, kind: str | None) -> str:
    if kind == "json":
        return json.dumps(as_json(path.name, log), ensure_ascii=False)
    return FORMATS[kind][1](path.name, log) if kind else _as_text(path, log)


def _as_text(path: Path, log: ShownLog) -> str:
    if not log.plays:
        return f"{path}: nothing of the catalogue was heard."
    lines = [f"{path}: {len(log.plays)} played in {clock(log.duration_ms)}"]
    for play in log.plays:
        lines.append(
            f"  {clock(play.start_ms)} to {clock(play.end_ms)}  {play.track.title} (track "
            f"{play.track.id}), from {clock(play.track_start_ms)}, {percent(play.coverage)} of it, "
            f"at {play.speed:.1%} of its speed, {likely(play.probability)}"
        )
    return "\n".join(lines)
