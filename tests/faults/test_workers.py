"""Processes that die or hang at the worst moment, with the embedded service."""

import os
import signal
import socket
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from apps.ops.management.commands.serve import _worker
from tests.faults.conftest import LONG_S, MakeSounds
from tests.faults.whole import (
    AWAY,
    ask,
    assert_found,
    assert_whole,
    attempts_at,
    catch,
    is_live,
    query,
    settled,
    sha256,
    state_of,
    stored,
    upload,
)
from tests.service import Service, command_of, descendants, running

pytestmark = [pytest.mark.slow, pytest.mark.alone]
MakeLong = Callable[[], Path]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("workers") / "data", SEARCHES_PER_MINUTE="0") as service:
        yield service


@pytest.fixture(scope="module")
def held() -> list[Path]:
    """All files that the service of this module has been given."""
    return []


def test_a_worker_killed_in_the_middle_of_a_long_file(
    service: Service, held: list[Path], make_sounds: MakeSounds, make_long: MakeLong
) -> None:
    long = make_long()
    held += [long, *make_sounds(3)]
    upload(service, held)
    service.wait_for(lambda: state_of(service, long) == "listening")
    os.killpg(service.children()["worker"], signal.SIGKILL)
    assert_whole(service, held)


def test_a_worker_killed_while_it_writes_to_the_index(
    service: Service, held: list[Path], make_sounds: MakeSounds
) -> None:
    """The index hangs in the middle of the write; the vectors are kept, the track is not ready."""
    files = make_sounds(2)
    before = len(stored(service, "vectors"))
    index = service.children()["milvus-lite"]
    os.kill(index, signal.SIGSTOP)
    try:
        upload(service, files)
        service.wait_for(lambda: len(stored(service, "vectors")) > before)
        assert state_of(service, files[0]) == "listening"
        os.killpg(service.children()["worker"], signal.SIGKILL)
    finally:
        os.kill(index, signal.SIGCONT)
    held += files
    assert_whole(service, held)


def test_a_stopped_worker_is_told_of_and_settles_nothing_that_another_took(
    service: Service, held: list[Path], make_long: MakeLong
) -> None:
    long = make_long()
    upload(service, [long])
    service.wait_for(lambda: state_of(service, long) == "listening")
    stopped = service.children()["worker"]
    os.killpg(stopped, signal.SIGSTOP)
    service.wait_for(lambda: "1 of 1 workers is stopped" in workers_of(service), 5)
    assert ask(service, "/api/v1/ready/")[0] == 200
    assert_found(service, *oldest(service, held))
    with second_worker(service):
        set_back_heartbeats(service)  # as if it had been stopped for longer than a lease
        service.wait_for(lambda: state_of(service, long) == "ready", 80)
        settled_by_second = row_of(service, long)
        os.killpg(stopped, signal.SIGCONT)
        service.wait_for(lambda: workers_of(service) == "")
        service.wait_for(lambda: not decoders_of(stopped))
    held.append(long)
    assert_whole(service, held)
    assert row_of(service, long) == settled_by_second
    assert service.children()["worker"] == stopped


def test_the_index_killed_while_it_is_written_to(
    service: Service, held: list[Path], make_sounds: MakeSounds
) -> None:
    files = make_sounds(10)
    upload(service, files)
    held += files
    os.killpg(service.children()["milvus-lite"], signal.SIGKILL)
    assert_whole(service, held)


def test_a_worker_killed_in_the_middle_of_a_scan(service: Service, held: list[Path]) -> None:
    """The next one scans it from its beginning; the play log is whole, the file goes."""
    long = held[0]
    status, scan = service.call("POST", "/api/v1/scans/", file=long)
    assert status == 202, scan
    address = f"/api/v1/scans/{scan['id']}/"
    catch(lambda: query(service, "SELECT 1 FROM monitoring_scan WHERE leased_by != ''"))
    os.killpg(service.children()["worker"], signal.SIGKILL)
    service.wait_for(lambda: ask(service, address)[1]["state"] == "ready", 60)
    (play,) = ask(service, f"{address}play-log/")[1]["plays"]
    assert (play["start_ms"], play["end_ms"]) == pytest.approx((0, LONG_S * 1000), abs=1000)
    found = service.call("GET", f"/api/v1/tracks/{play['track']['id']}/")[1]
    assert found["sha256"] == sha256(long)
    assert not stored(service, "scans")
    assert_whole(service, held)


def test_the_web_process_killed_in_the_middle_of_an_upload(
    service: Service, held: list[Path], make_sounds: MakeSounds
) -> None:
    (file,) = make_sounds(1, 20)
    uploads = service.data_dir / "uploads"
    with half_sent(service, file):
        service.wait_for(lambda: any(path.stat().st_size for path in uploads.iterdir()))
        os.killpg(service.children()["granian"], signal.SIGKILL)
    service.wait_for(lambda: is_live(service))
    assert settled(service, len(held))
    upload(service, [file])
    held.append(file)
    assert_whole(service, held)


def test_the_web_process_killed_while_it_stores_an_upload(
    service: Service, held: list[Path], make_sounds: MakeSounds
) -> None:
    """Whatever had been written, sending the file again makes one track of it."""
    (file,) = make_sounds(1, 60)
    before = len(stored(service, "tracks"))
    with ThreadPoolExecutor() as sender:
        sent = sender.submit(upload, service, [file])
        catch(lambda: len(stored(service, "tracks")) > before)
        os.killpg(service.children()["granian"], signal.SIGKILL)
        assert sent.exception() is None or isinstance(sent.exception(), AWAY)
    service.wait_for(lambda: is_live(service))
    upload(service, [file])
    held.append(file)
    assert_whole(service, held)


@pytest.mark.parametrize(
    ("number", "sentence"),
    [(signal.SIGSTOP, "does not come to an end"), (signal.SIGSEGV, "breaks the decoder")],
    ids=["hangs", "crashes"],
)
def test_a_file_that_breaks_the_decoder(
    service: Service,
    held: list[Path],
    make_sounds: MakeSounds,
    make_long: MakeLong,
    number: int,
    sentence: str,
) -> None:
    """The file is refused in a sentence; the worker lives on and hears the others."""
    worker = service.children()["worker"]
    long = make_long()
    upload(service, [long])
    decoder = service.wait_for(lambda: decoders_of(worker))[0]
    os.kill(decoder, number)
    others = make_sounds(3)
    upload(service, others)
    tracks = assert_whole(service, [*held, long, *others], aside=[long])
    held += others
    (broken,) = [track for track in tracks if track["sha256"] == sha256(long)]
    assert sentence in broken["reason"]
    assert service.children()["worker"] == worker
    assert not decoders_of(worker)
    assert service.call("DELETE", f"/api/v1/tracks/{broken['id']}/")[0] == 204


def test_a_file_that_takes_its_worker_down_is_set_aside_after_three_tries(
    tmp_path: Path, make_sounds: MakeSounds, make_long: MakeLong
) -> None:
    with running(tmp_path / "data", SEARCHES_PER_MINUTE="0") as service:
        long = make_long()
        upload(service, [long])
        for attempt in (1, 2, 3):
            service.wait_for(lambda tried=attempt: attempts_at(service, long) == tried, 60)
            os.killpg(service.children()["worker"], signal.SIGKILL)
            if attempt == 1:
                others = make_sounds(3)
                upload(service, others)
        tracks = assert_whole(service, [long, *others], aside=[long])
        (broken,) = [track for track in tracks if track["state"] == "failed"]
        assert "broke off 3 times" in broken["reason"]
        again = f"from apps.analysis.queueing import reanalyze; reanalyze([{broken['id']}])"
        assert service.manage("shell", "-c", again).returncode == 0
        service.wait_for(lambda: service.states()["ready"] == 4, 60)


def workers_of(service: Service) -> str:
    """What `ready/` says of the workers."""
    return str(ask(service, "/api/v1/ready/")[1]["workers"]["message"])


def oldest(service: Service, held: list[Path]) -> tuple[int, Path]:
    """A track that is there, and its file."""
    track = min(service.tracks(), key=lambda track: track["id"])
    return track["id"], next(path for path in held if sha256(path) == track["sha256"])


@contextmanager
def second_worker(service: Service) -> Iterator[None]:
    """Another worker of the same service, as on another machine."""
    process = subprocess.Popen(
        _worker(), cwd=service.code, env=service.environment, start_new_session=True
    )
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def set_back_heartbeats(service: Service) -> None:
    with closing(sqlite3.connect(service.data_dir / "audiosearch.sqlite3", timeout=30)) as database:
        database.execute(
            "UPDATE analysis_trackanalysis SET heartbeat_at = datetime(heartbeat_at, '-5 minutes') "
            "WHERE state = 'listening'"
        )
        database.commit()


def row_of(service: Service, file: Path) -> list[tuple[object, ...]]:
    """All that the database knows of the analyses of a file."""
    with closing(sqlite3.connect(service.data_dir / "audiosearch.sqlite3", timeout=30)) as database:
        return database.execute(
            "SELECT analysis_trackanalysis.* FROM analysis_trackanalysis JOIN catalog_track "
            "ON catalog_track.id = track_id WHERE sha256 = ? ORDER BY 1",
            [sha256(file)],
        ).fetchall()


def half_sent(service: Service, file: Path) -> socket.socket:
    """The connection of an upload that has stopped in the middle."""
    host, port = service.url.removeprefix("http://").split(":")
    content = file.read_bytes()
    part = (
        b'--edge\r\nContent-Disposition: form-data; name="file"; filename="half.flac"\r\n'
        b"Content-Type: audio/flac\r\n\r\n" + content + b"\r\n--edge--\r\n"
    )
    head = (
        f"POST /api/v1/tracks/ HTTP/1.1\r\nHost: {host}:{port}\r\n"
        f"Authorization: Token {service.credentials['token']}\r\n"
        "Content-Type: multipart/form-data; boundary=edge\r\n"
        f"Content-Length: {len(part)}\r\n\r\n"
    )
    connection = socket.create_connection((host, int(port)))
    connection.sendall(head.encode() + part[: len(part) // 2])
    return connection


def decoders_of(worker: int) -> list[int]:
    """The processes in which a worker's files are being decoded just now."""
    return [
        pid
        for pid in descendants(worker)
        if "audiosearch.engine.audio.worker" in command_of(pid)
        and any("/media/tracks/" in opened for opened in opened_by(pid))
    ]


def opened_by(pid: int) -> list[str]:
    """The files that a process has open."""
    found = []
    for link in Path(f"/proc/{pid}/fd").glob("*"):
        with suppress(FileNotFoundError, ProcessLookupError):
            found.append(str(link.readlink()))
    return found
