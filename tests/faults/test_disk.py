"""A disk that fills up, and is given room again. The disk is a small tmpfs, so root is needed."""

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from apps.ops.supervisor import Child, Supervisor
from tests.faults.conftest import MakeSounds
from tests.faults.whole import ask, assert_refused, assert_whole, is_live, settled, stored, upload
from tests.service import Service, free_port

pytestmark = [pytest.mark.slow, pytest.mark.alone]
Mount = Callable[[Path, int], None]


@pytest.fixture
def mount() -> Iterator[Mount]:
    """Put a tmpfs of so many MiB on a folder; skips where that is not allowed."""
    mounted: list[Path] = []

    def do(folder: Path, size_mib: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={size_mib}m", "tmpfs", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"A tmpfs cannot be mounted here: {done.stderr.strip()}")
        mounted.append(folder)

    yield do
    for folder in mounted:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@contextmanager
def full(folder: Path, *, but_bytes: int = 0) -> Iterator[None]:
    """Fill the disk of a folder, but for so many bytes, for the while."""
    ballast = folder / "ballast"
    try:
        with ballast.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(65536))
            except OSError as error:
                assert error.errno == errno.ENOSPC
            file.truncate(max(file.tell() - but_bytes, 0))
        yield
    finally:
        ballast.unlink()


@contextmanager
def served(service: Service) -> Iterator[Service]:
    service.start()
    try:
        yield service
    finally:
        service.stop()


def test_no_room_for_recordings_nor_vectors(
    mount: Mount, tmp_path: Path, make_sounds: MakeSounds
) -> None:
    """An upload is refused and leaves nothing; vectors are tried again until there is room."""
    media = tmp_path / "data" / "media"
    mount(media, 16)
    service = Service(tmp_path / "data", free_port(), {"SEARCHES_PER_MINUTE": "0"})
    with served(service):
        first, second, refused = make_sounds(3, 5)
        upload(service, [first])
        service.wait_for(lambda: settled(service, 1))
        worker = service.children()["worker"]
        os.killpg(worker, signal.SIGSTOP)
        upload(service, [second])
        with full(media):
            there = len(stored(service, "tracks"))
            assert "full" in assert_refused(service, "POST", "/api/v1/tracks/", refused)
            assert len(stored(service, "tracks")) == there
            os.killpg(worker, signal.SIGCONT)
            service.wait_for(lambda: "No space left" in reason_of_waiting(service), 60)
            assert is_live(service)
            status, found = service.call("POST", "/api/v1/search/", file=first)
            assert (status, len(found["hits"])) == (200, 1)
        assert service.children()["worker"] == worker
        assert service.call("POST", "/api/v1/tracks/", file=refused)[0] == 201
        assert_whole(service, [first, second, refused])


def test_no_room_for_anything(mount: Mount, tmp_path: Path, make_sounds: MakeSounds) -> None:
    """Database, index, queue, uploads and log are all on the disk that is full."""
    data = tmp_path / "data"
    mount(data, 256)
    service = Service(data, free_port(), {"SEARCHES_PER_MINUTE": "0"})
    with served(service):
        files = make_sounds(4)
        upload(service, files[:2])
        service.wait_for(lambda: settled(service, 2))
        similar = f"/api/v1/tracks/{service.tracks()[0]['id']}/similar"
        worker = service.children()["worker"]
        os.killpg(worker, signal.SIGSTOP)
        upload(service, [files[2]])
        with full(data):
            os.killpg(worker, signal.SIGCONT)
            assert_refused(service, "POST", "/api/v1/tracks/", files[3])
            assert_refused(service, "POST", "/api/v1/search/", files[0])
            status, found = ask(service, similar)
            assert (status, len(found["hits"])) == (200, 1)
            assert is_live(service)
            wait_until_tried(service)
        assert service.call("POST", "/api/v1/tracks/", file=files[3])[0] == 201
        assert_whole(service, files)


def reason_of_waiting(service: Service) -> str:
    """Why what is queued was given back."""
    _, body = ask(service, "/api/v1/tracks/?state=queued")
    return " ".join(track["reason"] for track in body["results"]) if body else ""


def wait_until_tried(service: Service) -> None:
    """The worker has taken the nudges that were waiting for it."""
    queue = service.data_dir / "queue"
    service.wait_for(lambda: not list(queue.glob("*.msg")), 60)


def test_a_supervisor_that_cannot_say_anything_goes_on() -> None:
    """What its children print is read all the same: a full pipe would stop them for ever."""

    def say(line: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    supervisor = Supervisor(say)
    program = "print('x' * 100 + chr(10), end='') or [print('y' * 1000) for _ in range(1000)]"
    talker = Child("talker", [sys.executable, "-c", program], one_shot=True)
    try:
        supervisor.start(talker)
        assert talker.process is not None
        deadline = time.monotonic() + 30
        while talker.process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        assert talker.process.poll() == 0
    finally:
        supervisor.stop()
