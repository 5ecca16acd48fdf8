"""The whole service as its users start it, on a free port and a folder of its own."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.databases import copy_migrated
from tests.servers import Guard, free_port

ROOT = Path(__file__).parents[1]
KEPT = ("DATABASE_URL", "MILVUS_URI", "REDIS_URL", "DJANGO_SETTINGS_MODULE", "DATA_DIR")


class Service:
    """A running service: its address, credentials, process and what it printed."""

    def __init__(
        self, data_dir: Path, port: int, environment: dict[str, str], code: Path = ROOT
    ) -> None:
        self.data_dir = data_dir
        self.code = code
        self.url = f"http://127.0.0.1:{port}"
        self.log = data_dir / "output.txt"
        base = {key: value for key, value in os.environ.items() if key not in KEPT}
        self.environment = {**base, **environment, "DATA_DIR": str(data_dir), "PORT": str(port)}
        self.process: subprocess.Popen[bytes] | None = None
        self._guard: Guard | None = None

    def start(self, *options: str) -> None:
        """Start and wait until it says where it is."""
        self.launch(*options)
        self.wait_for(lambda: "Ctrl-C stops everything" in self.said(), 90)

    def launch(self, *options: str) -> None:
        """Start, and do not wait."""
        self.data_dir.mkdir(exist_ok=True)
        with self.log.open("wb") as out:
            self.log.chmod(0o600)
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "serve", "--no-demo", "--no-pull", *options],
                cwd=self.code,
                env=self.environment,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._guard = Guard(self.process.pid, signal.SIGTERM)

    def said(self) -> str:
        return self.log.read_text() if self.log.exists() else ""

    def wait_for(self, test: Any, seconds: float = 30) -> Any:
        """The first true value of `test`; fails with what the service printed."""
        deadline = time.monotonic() + seconds
        while not (value := test()):
            assert self.process is None or self.process.poll() is None, self.said()
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.1)
        return value

    def begin(self, *arguments: str) -> subprocess.Popen[str]:
        """The same as `manage`, not waited for."""
        return subprocess.Popen(
            [sys.executable, "manage.py", *arguments],
            cwd=self.code,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def power_cut(self) -> None:
        """End every process of the service at once, as nobody can prepare for."""
        assert self.process is not None
        doomed = [self.process.pid, *descendants(self.process.pid)]
        for number in (signal.SIGSTOP, signal.SIGKILL):  # none sees another die
            for pid in doomed:
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
        self.process.wait(10)
        self._release()

    def stop(self, number: int = signal.SIGINT) -> int:
        """Ask it to stop; its exit status."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        status = self.process.wait(30)
        self._release()
        return status

    def _release(self) -> None:
        if self._guard is not None:
            self._guard.release()
            self._guard = None

    @property
    def credentials(self) -> dict[str, str]:
        return dict(json.loads((self.data_dir / "credentials.json").read_text()))

    def manage(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a management command on the same data; with the index where the service has it."""
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=self.code,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
        )

    def call(self, method: str, path: str, body: Any = None, file: Path | None = None) -> Any:
        """The JSON answer of the API as (status, body)."""
        headers = {"Authorization": f"Token {self.credentials['token']}"}
        data = None
        if file is not None:
            data, headers["Content-Type"] = _multipart(file, body or {})
        elif body is not None:
            data, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"null")

    def tracks(self) -> list[dict[str, Any]]:
        """All tracks, as the API shows them; fails when it does not answer."""
        found: list[dict[str, Any]] = []
        page = 1
        while True:
            status, body = self.call("GET", f"/api/v1/tracks/?page_size=200&page={page}")
            assert status == 200, body
            found += body["results"]
            if not body["next"]:
                return found
            page += 1

    def states(self) -> dict[str, int]:
        """How many tracks are in each state, in the default space."""
        spaces = self.call("GET", "/api/v1/spaces/")[1]["results"]
        return next(dict(space["progress"]) for space in spaces if space["is_default"])

    def children(self) -> dict[str, int]:
        """Process ids of the direct children, by a word of their command line."""
        assert self.process is not None
        return {
            word: pid
            for pid, parent in _parents().items()
            if parent == self.process.pid
            for word in ("worker", "beat", "granian", "milvus-lite")
            if re.search(rf"[ /]{word} ", command_of(pid))
        }


def descendants(pid: int) -> list[int]:
    """All children of a process, and theirs."""
    parents = _parents()
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found[1:]


def command_of(pid: int) -> str:
    """The command line of a process; empty when it is gone."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return b" ".join(words).decode(errors="replace")


def _parents() -> dict[int, int]:
    """The parent of every process."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):
            found[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    return found


def _multipart(file: Path, fields: dict[str, Any], name: str = "file") -> tuple[bytes, str]:
    boundary = "audiosearch-boundary"
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode()
        for key, value in fields.items()
    ]
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; '
    head += f'filename="{file.name}"\r\n'
    parts += [head.encode(), b"Content-Type: application/octet-stream\r\n\r\n", file.read_bytes()]
    parts.append(f"\r\n--{boundary}--\r\n".encode())
    return b"".join(parts), f"multipart/form-data; boundary={boundary}"


@contextmanager
def running(data_dir: Path, **environment: str) -> Iterator[Service]:
    """A service that is up; stopped at the end. A new one on SQLite need not migrate."""
    data_dir.mkdir(exist_ok=True)
    if "DATABASE_URL" not in environment and not any(data_dir.iterdir()):
        copy_migrated(data_dir / "audiosearch.sqlite3")
    service = Service(data_dir, free_port(), environment)
    try:
        service.start()
        yield service
    finally:
        if service.process is not None:
            service.stop()
