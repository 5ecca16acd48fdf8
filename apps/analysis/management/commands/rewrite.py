"""manage.py rewrite: let no file hold what was erased, now rather than when it is due."""

import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.analysis.models import Leftover
from apps.analysis.rewriting import rewrite_due
from audiosearch.engine.errors import IndexUnavailable


class Command(BaseCommand):
    help = "Write the files that still hold what was erased anew, now; searches go on meanwhile."

    def handle(self, *args: Any, **options: Any) -> None:
        began = time.monotonic()
        try:
            done = rewrite_due(at_once=True)
        except IndexUnavailable as error:
            raise CommandError(str(error)) from error
        if Leftover.objects.exists():
            raise CommandError("Another process is at it, or reads the database; try again soon.")
        names, seconds = ", ".join(done), time.monotonic() - began
        told = f"Written anew in {seconds:.1f} s: {names}." if done else "Nothing erased is left."
        self.stdout.write(told)
