"""manage.py reindex: build the index anew from the kept vectors, without listening again."""

import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.analysis.models import Space
from apps.analysis.reconcile import reindex
from apps.analysis.spaces import active_space, ensure_spaces, progress_of
from audiosearch.engine.errors import EngineError


class Command(BaseCommand):
    help = "Rebuild a space of the index from the kept vectors; searches go on meanwhile."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("space", nargs="?", help="the active space of embeddings when left out")

    def handle(self, *args: Any, **options: Any) -> None:
        ensure_spaces()
        name = options["space"]
        space = Space.objects.filter(name=name).first() if name else active_space()
        if space is None:
            known = ", ".join(Space.objects.values_list("name", flat=True))
            raise CommandError(f'There is no space "{name}". Known spaces: {known}.')
        began = time.monotonic()
        try:
            reindex(space)
        except EngineError as error:
            raise CommandError(str(error)) from error
        tracks, seconds = progress_of(space).ready, time.monotonic() - began
        self.stdout.write(f"{space.name}: {tracks} tracks indexed anew in {seconds:.1f} s.")
