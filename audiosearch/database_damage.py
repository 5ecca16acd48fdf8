"""An embedded database that is truncated or corrupt is left alone, in words, with the way back."""

import shlex
import sqlite3
from contextlib import closing
from pathlib import Path

from django.conf import settings

HEADER = 100
MAGIC = b"SQLite format 3\0"
READ = "SELECT max(id) FROM django_migrations"


def damaged_database() -> str:
    """Why the embedded database cannot be used, and what to do; empty when it can.

    It looks at the header, the size and two tables, as it comes before every command; a fault in
    the middle of a large table is found by whoever reads it.
    """
    told = settings.DATABASES["default"]
    path = Path(str(told["NAME"]))
    if not told["ENGINE"].endswith("sqlite3") or not path.is_file():
        return ""
    problem = _problem(path)
    if not problem:
        return ""
    return (
        f"The database {path} {problem}. Nothing was changed. Move it aside (with its -wal and "
        "-shm), together with the folder media beside it; start ./run --no-demo once and stop it; "
        f"then put the last backup back: ./manage restore {shlex.quote(_last_backup())}"
    )


def refuse_damaged_database() -> None:
    """End the process, with words, when the embedded database is damaged."""
    if problem := damaged_database():
        raise SystemExit(problem)


def note_backup(folder: Path) -> None:
    """Remember where the last whole backup is, beside the database that may need it."""
    _noted().write_text(str(folder.resolve()))


def _last_backup() -> str:
    try:
        return _noted().read_text()
    except FileNotFoundError:
        return "FOLDER"


def _noted() -> Path:
    return Path(settings.DATA_DIR) / "run" / "last-backup"


def _problem(path: Path) -> str:
    size = path.stat().st_size
    log = path.with_name(f"{path.name}-wal")
    if log.exists() and log.stat().st_size:
        return _unreadable(path)  # pages may be there alone, so the size says nothing
    if not size:
        return "is empty" if any(Path(settings.MEDIA_ROOT).glob("tracks/*")) else ""
    with path.open("rb") as file:
        header = file.read(HEADER)
    if not header.startswith(MAGIC):
        return "is damaged (it does not begin as one)"
    page = int.from_bytes(header[16:18], "big")
    if size < int.from_bytes(header[28:32], "big") * (65536 if page == 1 else page):
        return "is truncated"
    return _unreadable(path)


def _unreadable(path: Path) -> str:
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
            tables = database.execute("SELECT name FROM sqlite_master").fetchall()
            if ("django_migrations",) in tables:
                database.execute(READ).fetchall()
    except sqlite3.OperationalError:
        return ""  # locked, or not allowed: others tell of that
    except sqlite3.DatabaseError as error:
        return f"is damaged ({error})"
    return ""
