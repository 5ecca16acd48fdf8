"""manage.py serve: everything the service needs, under one supervisor."""

import os
import socket
import sys
from argparse import ArgumentParser
from contextlib import closing
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError, connection

from apps.analysis.index_folder import begin_anew, new_is_asked_for
from apps.analysis.spaces import active_space, analyzer_state, ensure_spaces
from apps.catalog.models import Track
from apps.catalog.services.deleting import sweep_uploads
from apps.ops.checks import TAG
from apps.ops.first_start import (
    CannotStart,
    Credentials,
    answers,
    embedded_port,
    first_administrator,
    redis_answers,
    require_port,
    sweep_index,
    take_lock,
)
from apps.ops.modes import close_well_known
from apps.ops.protections import decoder_protections
from apps.ops.supervisor import Child, ChildFailed, Supervisor
from audiosearch.engine.extras import may_install

MANAGE = [sys.executable, str(settings.BASE_DIR / "manage.py")]


class Command(BaseCommand):
    help = "Start audiosearch: the index, a worker and the web server, under one supervisor."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--no-demo", action="store_true", help="leave an empty catalogue empty")
        parser.add_argument(
            "--no-pull", action="store_true", help="fetch neither PANNs nor packages"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        supervisor = Supervisor(self._say)
        supervisor.stop_on_signals()
        try:
            with closing(take_lock(settings.DATA_DIR / "run" / "serve.lock")):
                require_port(settings.HOST, settings.PORT)
                try:
                    self._require_services()
                    index = self._begin_index(supervisor)
                    credentials = self._prepare()
                    self._start(supervisor, index, credentials, options)
                    supervisor.run()
                finally:
                    self._say("Stopping …")
                    supervisor.stop()
        except (CannotStart, ChildFailed) as error:
            raise CommandError(str(error)) from error
        self._say("Stopped. Nothing is lost; ./run starts it again.")

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()

    def _require_services(self) -> None:
        """Raise CannotStart, or SystemCheckError, before anything is started or written."""
        try:
            connection.ensure_connection()
        except OperationalError as error:
            raise CannotStart(
                f"The database at DATABASE_URL does not answer ({str(error).strip()}). "
                "Start it, or leave DATABASE_URL out to use the embedded one."
            ) from error
        if settings.REDIS_URL and not redis_answers(settings.REDIS_URL):
            raise CannotStart(
                "Redis at REDIS_URL does not answer. Start it, or leave REDIS_URL out to do "
                "without."
            )
        close_well_known()
        self.check(tags=[TAG])

    def _prepare(self) -> Credentials:
        self._say("Preparing the database and the static files …")
        call_command("migrate", verbosity=0, interactive=False)
        ensure_spaces()
        call_command("collectstatic", verbosity=0, interactive=False)
        sweep_uploads()
        return first_administrator(settings.DATA_DIR / "credentials.json")

    def _start(
        self,
        supervisor: Supervisor,
        index: Child | None,
        credentials: Credentials,
        options: dict[str, Any],
    ) -> None:
        """The web server first, as somebody waits for its first page."""
        web = Child(
            "web",
            web_server(settings.HOST, settings.PORT),
            is_up=partial(answers, f"{_address()}/api/v1/live/"),
        )
        supervisor.begin(web)
        for child in filter(None, (index, web)):
            supervisor.wait_until_up(child)
        if supervisor.stopping:
            return
        self._welcome(credentials)
        supervisor.start(Child("worker", _worker()))
        supervisor.start(Child("beat", _beat()))
        self._start_one_shots(supervisor, options)

    def _start_one_shots(self, supervisor: Supervisor, options: dict[str, Any]) -> None:
        """What is done once, in the background: the demo, and what can be fetched."""
        demo_done = settings.DATA_DIR / "run" / "demo-done"
        unfinished = settings.DATA_DIR / "run" / "demo-begun"
        wanted = not Track.objects.exists() or unfinished.exists()
        if not options["no_demo"] and not demo_done.exists() and wanted:
            supervisor.start(Child("demo", [*MANAGE, "demo"], one_shot=True))
        if not options["no_pull"] and analyzer_state("panns_cnn14") != "ready":
            pull = [*MANAGE, "models", "pull", "panns_cnn14", "--use", "--quiet"]
            supervisor.start(Child("models", pull, one_shot=True))
        if not options["no_pull"] and not find_spec("matplotlib") and may_install():
            plots = [sys.executable, "-m", "audiosearch.engine.extras", "plots"]
            supervisor.start(Child("plots", plots, one_shot=True, quiet=True))
        connection.close()

    def _begin_index(self, supervisor: Supervisor) -> Child | None:
        """The embedded index, which comes up while the rest is prepared; None with a real one."""
        if not settings.EMBEDDED_MILVUS:
            host, port = _host_and_port(settings.MILVUS_URI)
            if not _reachable(host, port):
                raise CannotStart(
                    f"The vector index at MILVUS_URI ({host}:{port}) does not answer. "
                    "Start it, or leave MILVUS_URI out to use the embedded one."
                )
            return None
        port = embedded_port(settings.MILVUS_PORT_FILE)
        os.environ["MILVUS_URI"] = f"http://127.0.0.1:{port}"
        folder = settings.DATA_DIR / "milvus"
        folder.mkdir(exist_ok=True)
        sweep_index(folder)
        self._say("Starting the vector index …")
        argv = [str(_script("milvus-lite")), "server", "--data-dir", str(folder)]
        # One worker: Milvus Lite guards neither its buffer nor its log against two writers.
        argv += ["--host", "127.0.0.1", "--port", str(port), "--max-workers", "1"]
        is_up = partial(_reachable, "127.0.0.1", port)
        index = Child("index", argv, is_up=is_up, up_within_s=120, quiet=True)
        index.is_broken, index.mend = new_is_asked_for, begin_anew
        supervisor.begin(index)
        return index

    def _welcome(self, credentials: Credentials) -> None:
        lines = ["", f"audiosearch is at {_address()}", ""]
        if credentials.new:
            lines += [
                f"  User      {credentials.username}",
                f"  Password  {credentials.password}",
                f"  API token {credentials.token}",
                "",
            ]
        if credentials.username:
            lines.append(f"Credentials are kept in {settings.DATA_DIR / 'credentials.json'}")
        space = active_space()
        lines.append(f"Listening with {space.analyzer} (space {space.name})")
        if analyzer_state("panns_cnn14") != "ready":
            lines.append(
                "PANNs is not here yet; the built-in encoder serves. To fetch PANNs and switch to "
                "it: ./manage models pull panns_cnn14 --use"
            )
        elif space.analyzer != "panns_cnn14":
            lines.append("To switch to PANNs: ./manage models use panns_cnn14")
        lines.append(decoder_protections())
        if settings.HOST not in ("127.0.0.1", "localhost", "::1"):
            lines.append(f"It listens on {settings.HOST}: other machines can reach it.")
        self._say("\n".join([*lines, "Ctrl-C stops everything.", ""]))


def _address() -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.HOST, settings.HOST)  # noqa: S104
    return f"http://{host}:{settings.PORT}{settings.URL_PREFIX}"


def _worker() -> list[str]:
    return [
        *(sys.executable, "-m", "celery", "--quiet", "-A", "audiosearch.background", "worker"),
        *("--pool", "prefork", "--concurrency", "1", "--loglevel", "WARNING"),
        *("--without-gossip", "--without-mingle", "--without-heartbeat"),
    ]


def _beat() -> list[str]:
    """Asks for what is done regularly; alone, as nobody would notice it dying in the worker."""
    return [
        *(sys.executable, "-m", "celery", "--quiet", "-A", "audiosearch.background", "beat"),
        *("--loglevel", "WARNING", "--pidfile", ""),
    ]


def web_server(host: str, port: int) -> list[str]:
    """The command that the pages and the API are served by."""
    return [
        *(sys.executable, "-m", "granian", "--interface", "asginl", "audiosearch.asgi:application"),
        *("--host", host, "--port", str(port), "--workers", "1"),
        # Version 1 alone, as only there nobody may be silent for longer before a request.
        *("--http", "1", "--http1-header-read-timeout", "10000", "--no-ws"),
        *("--log-level", "error", "--respawn-failed-workers"),
    ]


def _script(name: str) -> Path:
    return Path(sys.executable).parent / name


def _host_and_port(uri: str) -> tuple[str, int]:
    rest = uri.partition("://")[2].split("/")[0]
    host, _, port = rest.rpartition(":")
    return (host, int(port)) if port.isdecimal() and host else (rest, 19530)


def _reachable(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False
