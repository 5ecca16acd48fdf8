"""What docker-compose.yml starts, started as plain processes: its commands, settings and checks.

No engine is needed; the databases are the real ones, and their addresses stand in for the names
that services have inside of a compose network.
"""

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.audio_files import tone, write_audio
from tests.service import ROOT, _multipart, free_port
from tests.waiting import wait_until

PORT = "8000"


class Stack:
    """The services of the compose file, as processes of this machine."""

    def __init__(self, folder: Path, addresses: dict[str, str]) -> None:
        self.compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
        self.image = (ROOT / "Dockerfile").read_text()
        self.folder, self.port = folder, str(free_port())
        told = {"SECRET_KEY": "s" * 50, "POSTGRES_PASSWORD": "unused"}
        asked = self.compose["services"]["web"]["environment"]
        environment = {key: _filled(value, told) for key, value in asked.items()}
        binaries = Path(sys.executable).parent
        self.environment = {
            **{"PATH": f"{binaries}:{os.environ['PATH']}", "HOSTNAME": socket.gethostname()},
            **_image_environment(self.image),
            **environment,
            **addresses,
            **{"DATA_DIR": str(folder / "data"), "PORT": self.port, "HOME": str(folder)},
        }
        self.started: list[subprocess.Popen[bytes]] = []

    def command(self, service: str) -> list[str]:
        """What the service runs: its own command, or that of the image."""
        own = self.compose["services"][service].get("command")
        if own:
            return shlex.split(own)
        (line,) = re.findall(r"^CMD (\[.*\])$", self.image, re.MULTILINE)
        return [self.port if word == PORT else word for word in json.loads(line)]

    def run(self, service: str) -> None:
        subprocess.run(
            self.command(service), cwd=ROOT, env=self.environment, check=True, timeout=120
        )

    def start(self, service: str) -> None:
        with (self.folder / f"{service}.log").open("wb") as log:
            self.started.append(
                subprocess.Popen(
                    self.command(service),
                    cwd=ROOT,
                    env=self.environment,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            )

    def is_healthy(self, service: str) -> bool:
        """Whether the health check that the compose file declares is content."""
        kind, *words = self.compose["services"][service]["healthcheck"]["test"]
        words = [word.replace("$$", "$").replace(f":{PORT}", f":{self.port}") for word in words]
        command = ["sh", "-c", words[0]] if kind == "CMD-SHELL" else words
        done = subprocess.run(command, cwd=ROOT, env=self.environment, capture_output=True)
        return done.returncode == 0

    def manage(self, *arguments: str, **more: str) -> str:
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.environment | more,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def stop(self) -> None:
        for process in reversed(self.started):
            process.send_signal(signal.SIGTERM)
        for process in self.started:
            try:
                process.wait(20)
            finally:
                os.killpg(process.pid, signal.SIGKILL) if process.poll() is None else None


def _filled(value: str, told: dict[str, str]) -> str:
    """A compose value with its variables: those told, or their defaults."""

    def fill(found: re.Match[str]) -> str:
        name, default = found["name"], found["default"]
        return told.get(name, default or "")

    return re.sub(r"\$\{(?P<name>\w+)(?::-(?P<default>[^}]*)|:\?[^}]*)?\}", fill, str(value))


def _image_environment(image: str) -> dict[str, str]:
    (line,) = re.findall(r"^ENV (PATH=(?:.*\\\n)*.*)$", image, re.MULTILINE)
    pairs = (word.split("=", 1) for word in line.replace("\\\n", " ").split())
    return {name: value for name, value in pairs if name != "PATH"}


@pytest.fixture
def stack(
    tmp_path: Path, milvus_server_uri: str, redis_url: str, own_database: str
) -> Iterator[Stack]:
    address = {
        **{"DATABASE_URL": own_database, "MILVUS_URI": milvus_server_uri},
        **{"REDIS_URL": redis_url, "MILVUS_PREFIX": "composed"},
    }
    stack = Stack(tmp_path, address)
    try:
        yield stack
    finally:
        stack.stop()


@pytest.mark.exhaustive
def test_the_services_of_the_compose_file_work_together(stack: Stack, tmp_path: Path) -> None:
    stack.run("setup")
    for service in ("web", "worker", "beat"):
        stack.start(service)
    wait_until(lambda: stack.is_healthy("web"), 90)
    wait_until(lambda: stack.is_healthy("worker"), 90)
    password = {"DJANGO_SUPERUSER_PASSWORD": "a long one 42"}
    names = ("--username", "composer", "--email", "composer@example.org")
    stack.manage("createsuperuser", "--noinput", *names, **password)
    said = stack.manage("tokens", "create", "composer", "--name", "t", "--scopes", "read", "write")
    token = said.split()[-1]

    def call(path: str, file: Path | None = None) -> Any:
        headers = {"Authorization": f"Token {token}"}
        data = None
        if file:
            data, headers["Content-Type"] = _multipart(file, {})
        url = f"http://127.0.0.1:{stack.port}/api/v1/{path}"
        with urllib.request.urlopen(urllib.request.Request(url, data, headers)) as answer:
            return json.load(answer)

    for hz in (400, 3000):
        call("tracks/", write_audio(tmp_path / f"{hz}.flac", tone(2, hz)))
    wait_until(lambda: call("tracks/?state=ready")["count"] == 2, 90)
    hits = call("search/", write_audio(tmp_path / "clip.flac", tone(2, 405)))["hits"]
    assert hits[0]["track"]["title"] == "400"
    assert call("ready/")["status"] == "ready"
