"""What an analysis leaves behind, whatever a release calls its tables and folders."""

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any


def traces_of_analysis(data_dir: Path) -> dict[str, Any]:
    """When each analysis ended, and the vectors it kept with the time they were written.

    An analysis that is done again writes both anew, even if it finds the same.
    """
    return {"ended": sorted(_ended(data_dir)), "vectors": sorted(_vectors(data_dir))}


def _ended(data_dir: Path) -> set[str]:
    found = set()
    with closing(sqlite3.connect(data_dir / "audiosearch.sqlite3")) as database:
        tables = [
            row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type='table'")
        ]
        for table in tables:
            columns = {row[1] for row in database.execute(f'PRAGMA table_info("{table}")')}
            if {"track_id", "finished_at"} <= columns:
                rows = database.execute(f'SELECT track_id, finished_at FROM "{table}"')  # noqa: S608
                found |= {f"{track} {ended}" for track, ended in rows if ended}
    return found


def _vectors(data_dir: Path) -> set[str]:
    return {
        f"{hashlib.sha256(path.read_bytes()).hexdigest()} {int(path.stat().st_mtime)}"
        for path in (data_dir / "media").rglob("*.npz")
    }
