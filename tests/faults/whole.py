"""What must be true after every fault: nothing lost, nothing doubled, all found by its sound."""

import hashlib
import http.client
import sqlite3
import time
import urllib.error
from collections.abc import Callable, Collection, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.service import Service

SEARCHED = 20
"""So many of the files are searched for, lest many files take long; `check` looks at all."""
AWAY = (urllib.error.URLError, ConnectionError, TimeoutError, http.client.HTTPException)
SOON_S = 3.0
"""We promise 2 s; a second more for a machine whose two cores are busy with these very tests."""
INDEX_S = 12.0
"""A call to an index that says nothing has a deadline of 10 s."""


def assert_whole(
    service: Service, files: Sequence[Path], *, aside: Collection[Path] = (), seconds: float = 120
) -> list[dict[str, Any]]:
    """Every file is one track, heard, kept, indexed and found; there is nothing else.

    aside: those that must have been set aside, with a sentence, instead of heard. Waits until all
    is listened to, and touches nothing: whatever had to be mended, the service mended itself.
    """
    began = time.monotonic()
    service.wait_for(lambda: settled(service, len(files)), seconds)
    print(f"whole after {time.monotonic() - began:.1f} s")
    tracks = service.tracks()
    by_digest = {sha256(file): file for file in files}
    assert sorted(track["sha256"] for track in tracks) == sorted(by_digest)
    failed = {track["sha256"]: track["reason"] for track in tracks if track["state"] == "failed"}
    assert set(failed) == {sha256(file) for file in aside}, failed
    assert all(reason.endswith((".", "retry.")) for reason in failed.values()), failed
    ready = {track["id"]: track["sha256"] for track in tracks if track["state"] == "ready"}
    assert {int(path.stem) for path in stored(service, "vectors")} == set(ready)
    assert {sha256(path) for path in stored(service, "tracks")} >= set(by_digest)
    checked = service.manage("check_index")
    assert "Database, files and index agree." in checked.stdout, checked.stdout + checked.stderr
    for track_id in list(ready)[:: max(1, len(ready) // SEARCHED)]:
        assert_found(service, track_id, by_digest[ready[track_id]])
    return tracks


def assert_found(service: Service, track_id: int, file: Path) -> None:
    """A search with the sound itself finds the track first."""
    status, found = service.call("POST", "/api/v1/search/", {"top_k": 1, "end_ms": 10_000}, file)
    assert status == 200, found
    assert [hit["track"]["id"] for hit in found["hits"]] == [track_id]


def settled(service: Service, count: int) -> bool:
    """So many tracks are there, and all of them are ready or set aside."""
    status, body = ask(service, "/api/v1/spaces/")
    if status != 200:
        return False
    progress = next(space["progress"] for space in body["results"] if space["is_default"])
    waiting = progress["queued"] + progress["listening"]
    return bool(waiting == 0 and progress["ready"] + progress["failed"] == count)


def ask(service: Service, path: str) -> tuple[int, Any]:
    """The answer to a GET; (0, None) while the web process is away."""
    try:
        status, body = service.call("GET", path)
    except AWAY:
        return 0, None
    return status, body


def is_live(service: Service) -> bool:
    return ask(service, "/api/v1/live/")[0] == 200


def assert_red(service: Service, dependency: str) -> None:
    """The process lives, and says what it cannot do without."""
    assert is_live(service)
    status, body = ask(service, "/api/v1/ready/")
    assert status == 503
    red = [name for name, found in body["dependencies"].items() if not found["ok"]]
    assert dependency in red
    assert body["dependencies"][dependency]["message"]
    assert set(red) <= {dependency, "model"}  # which model serves is read from the database


def assert_refused(
    service: Service,
    method: str,
    path: str,
    file: Path | None = None,
    *,
    within_s: float = SOON_S,
) -> str:
    """503 with a sentence, soon; returns the sentence."""
    began = time.monotonic()
    status, body = service.call(method, path, file=file)
    took = time.monotonic() - began
    print(f"{method} {path}: {status} after {took:.2f} s: {body}")
    assert status == 503, body
    assert took < within_s
    return str(body["error"]["message"])


def upload(service: Service, files: Sequence[Path]) -> None:
    """Add files as a program does."""
    for file in files:
        status, body = service.call("POST", "/api/v1/tracks/", file=file)
        assert status in (200, 201), body


def state_of(service: Service, file: Path) -> str:
    """The state of a file's track in the default space; empty when it is not there."""
    _, body = ask(service, f"/api/v1/tracks/?sha256={sha256(file)}")
    return str(body["results"][0]["state"]) if body and body.get("results") else ""


def attempts_at(service: Service, file: Path) -> int:
    """How many times listening to a file was begun; read from the embedded database."""
    asked = (
        "SELECT max(attempts) FROM analysis_trackanalysis JOIN catalog_track"
        " ON track_id = catalog_track.id WHERE state = 'listening' AND sha256 = ?"
    )
    rows = query(service, asked, sha256(file))
    return int(rows[0][0] or 0) if rows else 0


def catch(test: Callable[[], Any], seconds: float = 60) -> None:
    """Return as soon as the test is true: moments last milliseconds."""
    deadline = time.monotonic() + seconds
    while not test():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def query(service: Service, statement: str, *values: str) -> list[Any]:
    """Rows of the embedded database; none before there is one."""
    try:
        with closing(sqlite3.connect(service.data_dir / "audiosearch.sqlite3")) as database:
            return database.execute(statement, values).fetchall()
    except sqlite3.OperationalError:
        return []


def stored(service: Service, folder: str) -> list[Path]:
    """All files in a folder of the storage."""
    return [path for path in (service.data_dir / "media" / folder).rglob("*") if path.is_file()]


def sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
