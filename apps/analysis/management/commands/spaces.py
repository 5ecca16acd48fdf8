"""manage.py spaces: list the spaces with their size, and drop retired ones."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.analysis.models import Space
from apps.analysis.removing import drop_space
from apps.analysis.space_indexes import size_of
from apps.analysis.spaces import progress_of
from audiosearch.engine.errors import EngineError


class Command(BaseCommand):
    help = "List the spaces with their size; drop NAME forgets a retired one."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action")
        actions.add_parser("list", help="all spaces (the default)")
        dropping = actions.add_parser("drop", help="delete the vectors of a retired space")
        dropping.add_argument("name")
        dropping.add_argument("--yes", action="store_true", help="do not ask")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            if options["action"] == "drop":
                self._drop(options["name"], ask=not options["yes"])
            else:
                self._list()
        except EngineError as error:
            raise CommandError(str(error)) from error

    def _list(self) -> None:
        self.stdout.write(
            f"{'NAME':<24}{'KIND':<11}{'STATE':<10}{'READY':>8}{'FAILED':>8}{'MB':>8}"
        )
        for space in Space.objects.order_by("kind", "state", "-created_at"):
            progress = progress_of(space)
            size = size_of(space) / 2**20
            self.stdout.write(
                f"{space.name:<24}{space.kind:<11}{space.state:<10}{progress.ready:>8}"
                f"{progress.failed:>8}{size:>8.1f}"
            )

    def _drop(self, name: str, *, ask: bool) -> None:
        space = Space.objects.filter(name=name).first()
        if space is None:
            raise CommandError(f'There is no space "{name}"; ./manage spaces lists them.')
        question = f"Drop {name}? Its vectors are deleted from the index and the disk. [y/N] "
        if ask and input(question).strip().lower() not in ("y", "yes"):
            raise CommandError("Nothing was dropped.")
        drop_space(space)
        self.stdout.write(f"{name} is dropped.")
