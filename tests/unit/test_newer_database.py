"""Older code on the database of a newer version: refused in words, by whatever way it comes."""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from django.db import connection

from audiosearch.database_version import HINT, newer_database, unknown_migrations
from tests.databases import copy_migrated
from tests.service import ROOT, free_port

NEWER = "9999_from_the_future"
MANAGE = [sys.executable, "manage.py"]
WEB = [sys.executable, "-m", "granian", "--interface", "asginl", "audiosearch.asgi:application"]
WORKER = [
    sys.executable,
    "-m",
    "celery",
    "-A",
    "audiosearch.background",
    "worker",
    "--concurrency",
    "1",
]


def run(data_dir: Path, command: list[str]) -> subprocess.CompletedProcess[str]:
    kept = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
    return subprocess.run(
        command,
        cwd=ROOT,
        env=kept | {"DATA_DIR": str(data_dir), "PORT": str(free_port()), "WARM_UP": "0"},
        capture_output=True,
        text=True,
        timeout=120,
    )


def rows(data_dir: Path) -> list[str]:
    with closing(sqlite3.connect(data_dir / "audiosearch.sqlite3")) as database:
        return list(database.iterdump())


@pytest.fixture(scope="module")
def newer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose database has been through one migration more than there are here."""
    data_dir = tmp_path_factory.mktemp("newer")
    copy_migrated(data_dir / "audiosearch.sqlite3")
    with closing(sqlite3.connect(data_dir / "audiosearch.sqlite3")) as database:
        added = "INSERT INTO django_migrations (app, name, applied) VALUES ('catalog', ?, ?)"
        database.execute(added, [NEWER, "2030-01-01"])
        database.commit()
    return data_dir


@pytest.mark.parametrize(
    "command",
    [
        [*MANAGE, "serve", "--no-demo", "--no-pull"],
        pytest.param([*MANAGE, "migrate"], marks=pytest.mark.exhaustive),
        pytest.param([*MANAGE, "import", "."], marks=pytest.mark.exhaustive),
        WORKER,
        [*WEB, "--port", str(free_port()), "--workers", "1"],
    ],
    ids=["serve", "migrate", "import", "worker", "web"],
)
def test_it_is_refused_before_anything_is_written(newer: Path, command: list[str]) -> None:
    before = rows(newer)
    done = run(newer, command)
    assert done.returncode != 0
    assert f"this one does not know catalog.{NEWER}." in done.stderr + done.stdout
    assert HINT in done.stderr + done.stdout
    assert rows(newer) == before


def test_looking_makes_no_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connection.settings_dict, "NAME", str(tmp_path / "none.sqlite3"))
    assert unknown_migrations() == []  # and this test may not open any


@pytest.mark.django_db
def test_a_database_of_this_version_is_known() -> None:
    assert newer_database() == ""
