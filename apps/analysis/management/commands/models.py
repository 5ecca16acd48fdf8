"""manage.py models: list the encoders, fetch one, and switch to it."""

import sys
import time
from argparse import ArgumentParser
from functools import partial
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from apps.analysis.models import Space, SpaceKind, SpaceState
from apps.analysis.spaces import active_space, analyzer_state, progress_of, use_analyzer
from audiosearch.engine.analyzers.base import EncoderSpec
from audiosearch.engine.analyzers.model_store import (
    install_file,
    missing_files,
    pull,
    size_on_disk,
    unverified_files,
)
from audiosearch.engine.analyzers.registry import analyzer_class, analyzer_names, analyzer_spec
from audiosearch.engine.errors import EngineError
from audiosearch.engine.extras import with_extras


class Command(BaseCommand):
    help = "List the encoders; pull NAME fetches one; use NAME switches searches to it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action")
        actions.add_parser("list", help="what there is, and which one serves (the default)")
        pulling = actions.add_parser("pull", help="fetch an encoder's files and prepare it")
        pulling.add_argument("name")
        pulling.add_argument(
            "--from",
            dest="files",
            nargs="+",
            type=Path,
            default=[],
            metavar="FILE",
            help="take these files, fetched by hand, instead of the network",
        )
        pulling.add_argument(
            "--trust", action="store_true", help="accept files that are not the published ones"
        )
        pulling.add_argument("--quiet", action="store_true", help="no progress bar")
        pulling.add_argument(
            "--use", action="store_true", help="switch to it as soon as it is ready"
        )
        using = actions.add_parser("use", help="build an encoder's space, then switch to it")
        using.add_argument("name")
        using.add_argument("--wait", action="store_true", help="show progress until it serves")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            if options["action"] == "pull":
                self._pull(options)
            elif options["action"] == "use":
                self._use(options["name"], wait=options["wait"])
            else:
                self._list()
        except EngineError as error:
            if options.get("quiet"):
                self.stdout.write(str(error))
                sys.exit(1)
            raise CommandError(str(error)) from error

    def _list(self) -> None:
        building = Space.objects.filter(kind=SpaceKind.EMBEDDING, state=SpaceState.BUILDING)
        coming = set(building.values_list("analyzer", flat=True))
        serving = active_space().analyzer
        head = f"{'':2}{'NAME':<14}{'STATE':<14}{'DIM':>5}{'MB':>7}  {'LICENCE':<12}TITLE"
        self.stdout.write(head)
        for name in analyzer_names():
            spec = analyzer_spec(name)
            if not isinstance(spec, EncoderSpec):
                continue
            size = size_on_disk(spec, settings.MODELS_DIR) / 2**20
            mark = "*" if name == serving else "+" if name in coming else ""
            notes = unverified_files(spec, settings.MODELS_DIR)
            title = spec.title + (f" (unverified: {', '.join(notes)})" if notes else "")
            self.stdout.write(
                f"{mark:2}{name:<14}{analyzer_state(name):<14}{spec.dimension:>5}{size:>7.0f}"
                f"  {spec.licence:<12}{title}"
            )
        self.stdout.write("* answers searches, + is being built")

    def _pull(self, options: dict[str, Any]) -> None:
        encoder = analyzer_class(options["name"])
        spec = encoder.spec
        for path in options["files"]:
            if not path.is_file():
                raise CommandError(f"There is no file {path}.")
            install_file(spec, settings.MODELS_DIR, path, trust=options["trust"])
        with _Bar(quiet=options["quiet"]) as bar:
            if not options["files"]:
                pull(spec, settings.MODELS_DIR, bar.show, base_url=settings.MODELS_URL)
        if encoder.state(settings.MODELS_DIR) != "ready" or options["files"]:
            self.stdout.write(f"Preparing {spec.title}; this is done once …")
            prepare = partial(encoder.prepare, settings.MODELS_DIR, _ignore)
            for name, value in with_extras(prepare, self._say).items():
                self.stdout.write(f"  {name}: {value:.8g}")
        self.stdout.write(f"{spec.title} is ready.")
        for name in missing_files(spec, settings.MODELS_DIR):
            self.stdout.write(f"It does without {name} until that is pulled too.")
        if options["use"]:
            self._use(spec.name, wait=False)

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()

    def _use(self, name: str, *, wait: bool) -> None:
        space = use_analyzer(name)
        space.refresh_from_db()
        with tqdm(desc=space.name, unit="track", disable=None if wait else True) as bar:
            while wait and not space.is_active:
                progress = progress_of(space)
                bar.total = progress.total
                bar.update(progress.done - bar.n)
                time.sleep(1)
                space.refresh_from_db()
        if space.is_active:
            self.stdout.write(f"{space.name} answers searches now.")
        else:
            self.stdout.write(
                f"{space.name} is being built beside the space in use ({progress_of(space).total} "
                "recordings) and takes over by itself when complete."
            )


class _Bar:
    """A progress bar for each file as it comes."""

    def __init__(self, *, quiet: bool) -> None:
        self.quiet = quiet or not sys.stderr.isatty()
        self.name = ""
        self.bar: Any = None

    def __enter__(self) -> "_Bar":
        return self

    def __exit__(self, *error: object) -> None:
        if self.bar is not None:
            self.bar.close()

    def show(self, name: str, done: int, total: int) -> None:
        if self.quiet:
            return
        if self.name != name:
            if self.bar is not None:
                self.bar.close()
            self.name = name
            self.bar = tqdm(desc=name, total=total, initial=done, unit="B", unit_scale=True)
        self.bar.update(done - self.bar.n)


def _ignore(what: str, done: int, total: int) -> None:
    """Preparing says what it found at its end."""
