"""A web server as it is started, over a catalogue that a benchmark made; no worker beside it."""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests import servers
from tests.databases import ROOT, copy_migrated

WEB = [sys.executable, "-m", "granian", "--interface", "asginl", "audiosearch.asgi:application"]
BOUNDARY = "benchmark"


@contextmanager
def served(folder: Path, fill: str, **more: str) -> Iterator[tuple[str, str]]:
    """A web server on this data folder: its address, and a token.

    fill: Python code that makes the catalogue and prints the token last; more: settings.
    """
    environment = {
        **{key: value for key, value in os.environ.items() if key != "MILVUS_URI"},
        **{"DJANGO_SETTINGS_MODULE": "audiosearch.settings", "PYTHONPATH": str(ROOT)},
        **{"DATA_DIR": str(folder), "SEARCHES_PER_MINUTE": "0", **more},
    }
    copy_migrated(folder / "audiosearch.sqlite3")
    command = [sys.executable, "manage.py", "shell", "--no-imports", "-c", fill]
    told = subprocess.check_output(command, cwd=ROOT, env=environment, text=True)
    port = servers.free_port()
    server = servers.Server(
        f"http://127.0.0.1:{port}",
        [*WEB, "--host", "127.0.0.1", "--port", str(port), "--workers", "1"],
        folder / "web.log",
        lambda: servers.listens(port),
        wait_s=60,
        environment=environment,
    )
    server.start()
    try:
        yield server.url, told.split()[-1]
    finally:
        server.stop()


def ask(url: str, token: str, clip: bytes, **fields: str) -> dict[str, Any]:
    """What is answered to a clip, by the name of each answer."""
    body = "".join(
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    )
    body += f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
    data = body.encode() + clip + f"\r\n--{BOUNDARY}--\r\n".encode()
    headers = {
        "Authorization": f"Token {token}",
        "Content-Type": f"multipart/form-data; boundary={BOUNDARY}",
    }
    request = urllib.request.Request(f"{url}/api/v1/search/", data, headers)  # noqa: S310
    with urllib.request.urlopen(request, timeout=300) as answer:  # noqa: S310
        answers: dict[str, Any] = json.loads(answer.read())["answers"]
    return answers
