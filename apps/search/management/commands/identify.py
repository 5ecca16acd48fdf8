"""manage.py identify: which recording of the catalogue is playing in a file, and where in it."""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from apps.analysis.clips import decode_clip
from apps.catalog.id_map import cards_of
from apps.catalog.templatetags.sound import clock
from apps.search.same_recording import recognise
from audiosearch.engine.analyzers.landmarks.spectrum import SAMPLE_RATE
from audiosearch.engine.errors import EngineError
from audiosearch.engine.indexes.filters import TrackFilter
from audiosearch.engine.matchers.same_recording import RecordingAnswer


class Command(BaseCommand):
    help = "Tell which recording of the catalogue is playing in each file, or that none is."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("files", nargs="+", type=Path)
        parser.add_argument("--top", type=int, default=1, help="how many tracks to tell (1)")
        parser.add_argument("--json", action="store_true", help="a line of JSON for each file")

    def handle(self, *args: Any, **options: Any) -> None:
        failed = 0
        for path in options["files"]:
            try:
                found = _recognised(path, options["top"])
            except (OSError, EngineError) as error:
                failed += 1
                self.stderr.write(f"{path}: {error}")
                continue
            self.stdout.write(_as_json(path, found) if options["json"] else _as_text(path, found))
        if failed:
            raise CommandError(f"{failed} of {len(options['files'])} files could not be read.")


def _recognised(path: Path, top_k: int) -> RecordingAnswer:
    most_s = settings.MAX_QUERY_DURATION_S
    too_long = f"An excerpt may last {most_s} s; cut one out of it."
    samples = decode_clip(path, SAMPLE_RATE, most_s=most_s, too_long=too_long)
    return recognise(samples, top_k=top_k, where=TrackFilter())


def _as_json(path: Path, found: RecordingAnswer) -> str:
    told = {"file": str(path), **asdict(found)}
    cards = cards_of(hit.item_id for hit in found.hits)
    for hit in told["hits"]:
        track_id = hit.pop("item_id")
        title = cards[track_id].title if track_id in cards else ""
        hit["track"] = {"id": track_id, "title": title}
    return json.dumps(told)


def _as_text(path: Path, found: RecordingAnswer) -> str:
    cards = cards_of(hit.item_id for hit in found.hits)
    lines = [f"{path}: {found.verdict}. {found.reason}".rstrip()]
    for hit in found.hits:
        if hit.item_id in cards:
            lines.append(
                f"  {hit.probability:.0%} {cards[hit.item_id].title} (track {hit.item_id}), "
                f"{clock(hit.start_ms)} to {clock(hit.end_ms)}, at {hit.speed:.1%} of its speed; "
                f"{hit.aligned} of {hit.of} landmarks agree"
            )
    return "\n".join(lines)
