"""The servers of the tests themselves: shared by all workers, and gone when nobody needs them."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest

from tests import servers
from tests.service import ROOT

PROGRAM = """
import time
from tests import servers
with servers.redis_server() as url:
    print(url, flush=True)
    time.sleep(60)
"""


def test_a_killed_test_run_leaves_none() -> None:
    with subprocess.Popen([sys.executable, "-c", PROGRAM], cwd=ROOT, stdout=subprocess.PIPE) as run:
        assert run.stdout is not None
        port = int(run.stdout.readline().decode().rpartition(":")[2].split("/")[0])
        assert servers.listens(port)
        run.kill()
    deadline = time.monotonic() + 20
    while servers.listens(port):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_one_serves_all_and_stops_after_the_last(tmp_path: Path) -> None:
    told: list[str] = []

    @contextmanager
    def server() -> Iterator[str]:
        told.append("started")
        yield "address"
        told.append("stopped")

    first, second = (servers.shared(tmp_path, "it", server) for _ in range(2))
    assert (first.__enter__(), second.__enter__()) == ("address", "address")
    leaving = Thread(target=first.__exit__, args=(None, None, None))
    leaving.start()
    leaving.join(0.2)
    assert leaving.is_alive()
    assert told == ["started"]
    second.__exit__(None, None, None)
    leaving.join(10)
    assert told == ["started", "stopped"]
    with servers.shared(tmp_path, "it", server) as address:
        assert (address, told[2:]) == ("address", ["started"])


def test_one_that_cannot_start_is_tried_again(tmp_path: Path) -> None:
    @contextmanager
    def broken() -> Iterator[str]:
        raise servers.ServerFailed("no room")
        yield ""

    for _ in range(2):
        with (
            pytest.raises(servers.ServerFailed, match="no room"),
            servers.shared(tmp_path, "it", broken),
        ):
            pass


def test_a_port_is_given_once_and_taken_by_no_connection() -> None:
    given = [servers.free_port() for _ in range(50)]
    assert len(set(given)) == 50
    first_of_others = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert max(given) < first_of_others
