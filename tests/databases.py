"""Databases that have been through all migrations: each kind made once, and copied from then on.

A copy takes milliseconds, the migrations of an empty database five seconds of processor time.
"""

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

import psycopg

ROOT = Path(__file__).parents[1]


def copy_migrated(path: Path) -> None:
    """Make an SQLite database at `path`, which its owner alone can read."""
    made = _kept(".sqlite3")
    with _locked():
        if not made.exists():
            being_made = made.with_suffix(".making")
            being_made.unlink(missing_ok=True)
            _migrate(f"sqlite:///{being_made}")
            being_made.rename(made)
    shutil.copyfile(made, path)
    path.chmod(0o600)


def new_postgres_database(server_url: str) -> str:
    """Make a database on a PostgreSQL server; its URL."""
    name, template = f"own_{uuid4().hex}", f"migrated_{_digest()}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        with _locked():
            there = "SELECT 1 FROM pg_database WHERE datname = %s"
            if not connection.execute(there, [template]).fetchone():
                connection.execute("DROP DATABASE IF EXISTS being_migrated")
                connection.execute("CREATE DATABASE being_migrated")
                _migrate(_at(server_url, "being_migrated"))
                rename = f'ALTER DATABASE being_migrated RENAME TO "{template}"'
                connection.execute(rename.encode())
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'.encode())
    return _at(server_url, name)


def _at(server_url: str, name: str) -> str:
    return f"{server_url.rpartition('/')[0]}/{name}"


def _migrate(url: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [sys.executable, "manage.py", "migrate", "--verbosity", "0"],
            cwd=ROOT,
            env={
                **{key: value for key, value in os.environ.items() if key != "MILVUS_URI"},
                **{"DJANGO_SETTINGS_MODULE": "audiosearch.settings"},
                **{"DATABASE_URL": url, "DATA_DIR": folder},
            },
            check=True,
        )


@contextmanager
def _locked() -> Iterator[None]:
    with _kept(".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _kept(suffix: str) -> Path:
    name = f"audiosearch-test-migrated-{os.getuid()}-{_digest()}{suffix}"
    return Path(tempfile.gettempdir()) / name


@cache
def _digest() -> str:
    """Of all migrations: what was made by others is no use."""
    files = sorted(ROOT.glob("apps/*/migrations/*.py"))
    installed = (ROOT / "requirements.txt").read_bytes()
    return sha256(b"".join([installed, *(file.read_bytes() for file in files)])).hexdigest()[:16]
