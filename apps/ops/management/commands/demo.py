"""manage.py demo: fill the catalogue with sounds that the project synthesises itself."""

import tempfile
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from apps.catalog.services.adding import add_track
from apps.catalog.services.collections import get_or_create_collection
from apps.ops.demo.catalogue import demo_sounds
from apps.ops.demo.flac import write_flac, write_noisy_excerpt
from apps.search.excerpt import EXCERPT
from audiosearch.engine.errors import OverQuota

COLLECTIONS = {"sound": "Demo sounds", "music": "Demo tunes"}
EXCERPT_OF = "Orchard Path"


class Command(BaseCommand):
    help = "Add the demo sounds and tunes; those already there stay as they are."

    def handle(self, *args: Any, **options: Any) -> None:
        run = settings.DATA_DIR / "run"
        (run / "demo-begun").touch()
        collections = {kind: get_or_create_collection(name) for kind, name in COLLECTIONS.items()}
        full, added = "", 0
        with tempfile.TemporaryDirectory(dir=settings.FILE_UPLOAD_TEMP_DIR) as folder:
            for number, sound in enumerate(demo_sounds()):
                path = Path(folder) / f"{sound.title}.flac"
                write_flac(path, sound)
                if sound.title == EXCERPT_OF:
                    EXCERPT.parent.mkdir(exist_ok=True)
                    write_noisy_excerpt(EXCERPT, sound)
                try:
                    outcome = add_track(
                        source=path,
                        name=path.name,
                        kind=sound.kind,
                        collection=collections[sound.kind],
                        tags=sound.tags,
                        fields={"description": sound.description},
                        wake=number % 20 == 0,
                    )
                except OverQuota as error:
                    full = f" {error}"
                    break
                added += outcome.created
                path.unlink()
        (run / "demo-done").touch()
        (run / "demo-begun").unlink()
        self.stdout.write(
            f"Demo: {added} sounds and tunes added; they are being listened to.{full}"
        )
