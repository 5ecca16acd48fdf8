"""What a start needs before any process runs: a free port, one owner, a first administrator."""

import fcntl
import json
import os
import secrets
import shutil
import socket
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import IO


class CannotStart(Exception):
    """Why the service cannot start, and what to do about it."""


@dataclass(frozen=True)
class Credentials:
    """The first administrator; `new` on the start that created it."""

    username: str
    password: str
    token: str
    new: bool


def take_lock(path: Path) -> IO[str]:
    """Own a data folder until the returned file is closed; raises CannotStart when it is taken."""
    file = path.open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise CannotStart(
            f"audiosearch already runs on {path.parent.parent}. Stop it first, or choose another "
            "folder: DATA_DIR=… ./run"
        ) from error
    return file


def port_is_free(host: str, port: int) -> bool:
    """Whether nothing listens there; tells even where the listener lets others share its port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    with socket.socket(family) as probe:
        probe.settimeout(1)
        if probe.connect_ex((reachable, port)) == 0:
            return False
    with socket.socket(family) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind((host, port))
        except OSError:
            return False
    return True


def require_port(host: str, port: int) -> None:
    """Raise CannotStart when the port is taken."""
    if not port_is_free(host, port):
        raise CannotStart(
            f"Port {port} on {host} is taken by another program. Choose another: "
            f"PORT={port + 1} ./run"
        )


def embedded_port(path: Path) -> int:
    """The port of the embedded index: the one used before while it is free, else a new one."""
    kept = path.read_text().strip() if path.exists() else ""
    if kept.isdecimal() and port_is_free("127.0.0.1", int(kept)):
        return int(kept)
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        port = int(chosen.getsockname()[1])
    path.write_text(str(port))
    return port


def first_administrator(path: Path) -> Credentials:
    """The administrator kept in `path`; made, with random password and token, if there is none."""
    from django.contrib.auth import get_user_model
    from django.db import transaction

    from apps.access.tokens import issue_token

    users = get_user_model().objects
    if users.filter(is_superuser=True).exists():
        if not path.exists():
            return Credentials("", "", "", new=False)
        return Credentials(**json.loads(path.read_text()), new=False)
    password = secrets.token_urlsafe(12)
    with transaction.atomic():  # nobody is made whose password was not kept
        user = users.create_superuser("admin", password=password)
        kept = {
            "username": user.get_username(),
            "password": password,
            "token": issue_token(user=user, name="first administrator"),
        }
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(kept, file, indent=2)
    return Credentials(**kept, new=True)


def sweep_index(folder: Path) -> int:
    """Remove what is left of collections that Milvus Lite was ended while dropping; how many.

    It knows a collection by its schema, and leaves one without lying there for ever.
    """
    dropped = [
        path
        for path in folder.glob("collections/*")
        if path.is_dir() and not (path / "schema.json").exists()
    ]
    for path in dropped:
        shutil.rmtree(path)
    return len(dropped)


def redis_answers(url: str) -> bool:
    """Whether a Redis server answers there."""
    import redis

    try:
        return bool(redis.Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2).ping())
    except redis.RedisError:
        return False


def answers(url: str) -> bool:
    """Whether an HTTP server answers there, whatever it says."""
    try:
        with urllib.request.urlopen(url, timeout=2):  # noqa: S310
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
