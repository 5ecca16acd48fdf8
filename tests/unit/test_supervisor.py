"""The supervisor, on real small processes."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from apps.ops.first_start import CannotStart, port_is_free, require_port, take_lock
from apps.ops.supervisor import Child, ChildFailed, Supervisor
from tests.waiting import wait_until

SLEEP = "import time; time.sleep(60)"


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False


def test_a_child_that_dies_is_started_again_and_all_stop_together(tmp_path: Path) -> None:
    said: list[str] = []
    supervisor = Supervisor(said.append)
    child = Child("one", python(SLEEP))
    supervisor.start(child)
    runner = threading.Thread(target=supervisor.run)
    runner.start()
    first = child.process
    assert first is not None
    first.kill()
    wait_until(lambda: child.process is not first)
    assert any("starting it again" in line for line in said)
    supervisor.stop()
    runner.join(5)
    assert child.process is not None
    assert child.process.poll() is not None


def test_what_keeps_dying_stops_the_whole_with_its_last_words() -> None:
    supervisor = Supervisor(lambda line: None)
    supervisor.start(Child("bad", python("print('no such disk'); raise SystemExit(3)")))
    with pytest.raises(ChildFailed, match="no such disk"):
        supervisor.run()
    supervisor.stop()


def test_a_child_that_never_comes_up_is_reported() -> None:
    supervisor = Supervisor(lambda line: None)
    dead = Child("dead", python("print('why')"), is_up=lambda: False)
    with pytest.raises(ChildFailed, match="why"):
        supervisor.start(dead)
    slow = Child("slow", python(SLEEP), is_up=lambda: False, up_within_s=0.3)
    with pytest.raises(ChildFailed, match="not up within"):
        supervisor.start(slow)
    supervisor.stop()


def test_stopping_takes_grandchildren_along(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    code = (
        "import subprocess, sys, time\n"
        f"child = subprocess.Popen([sys.executable, '-c', {SLEEP!r}])\n"
        f"open({str(note)!r}, 'w').write(str(child.pid))\n"
        "time.sleep(60)"
    )
    supervisor = Supervisor(lambda line: None)
    supervisor.start(Child("parent", python(code), is_up=note.exists))
    wait_until(lambda: note.read_text().isdecimal())
    supervisor.stop()
    wait_until(lambda: not alive(int(note.read_text())))


@pytest.mark.skipif(sys.platform != "linux", reason="needs prctl(2)")
def test_children_end_when_the_supervisor_is_killed(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    code = (
        "import sys\n"
        "from apps.ops.supervisor import Child, Supervisor\n"
        "supervisor = Supervisor(print)\n"
        f"child = Child('one', [sys.executable, '-c', {SLEEP!r}])\n"
        "supervisor.start(child)\n"
        f"open({str(note)!r}, 'w').write(str(child.process.pid))\n"
        "supervisor.run()\n"
    )
    parent = subprocess.Popen(python(code), cwd=Path(__file__).parents[2])
    wait_until(lambda: note.exists() and note.read_text().isdecimal())
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    wait_until(lambda: not alive(int(note.read_text())))


def test_it_stops_wherever_the_signal_finds_it() -> None:
    code = (
        "import signal, sys\n"
        "from apps.ops.supervisor import Supervisor\n"
        "supervisor = Supervisor(print)\n"
        "supervisor.stop_on_signals()\n"
        "sys.setprofile(lambda *event: signal.raise_signal(signal.SIGINT))\n"
        "supervisor.run()\n"
    )
    subprocess.run(python(code), cwd=Path(__file__).parents[2], timeout=20, check=True)


def test_a_port_that_is_taken_is_reported_and_not_shared() -> None:
    import socket

    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(CannotStart, match=f"PORT={port + 1}"):
            require_port("127.0.0.1", port)
    assert port_is_free("127.0.0.1", port)


def test_a_data_folder_has_one_owner(tmp_path: Path) -> None:
    lock = take_lock(tmp_path / "lock")
    with pytest.raises(CannotStart, match="already runs"):
        take_lock(tmp_path / "lock")
    lock.close()
    take_lock(tmp_path / "lock").close()


def test_what_is_broken_is_mended_and_started_again(tmp_path: Path) -> None:
    broken, mended = tmp_path / "broken", threading.Event()

    def mend() -> None:
        broken.unlink()
        mended.set()

    supervisor = Supervisor(lambda line: None)
    child = Child("one", python(SLEEP), is_broken=broken.exists, mend=mend)
    supervisor.start(child)
    first = child.process
    runner = threading.Thread(target=supervisor.run)
    runner.start()
    broken.touch()
    assert mended.wait(10)
    wait_until(lambda: child.process is not first)
    assert first is not None
    assert first.poll() is not None
    supervisor.stop()
    runner.join(5)


def test_what_is_stopped_is_told_of_and_started_anew() -> None:
    """One that is continued in time goes on."""
    said: list[str] = []
    supervisor = Supervisor(said.append)
    child = Child("one", python(SLEEP))
    supervisor.start(child)
    first = child.process
    assert first is not None
    runner = threading.Thread(target=supervisor.run)
    runner.start()
    try:
        os.kill(first.pid, signal.SIGSTOP)
        wait_until(lambda: any(f"kill -CONT {first.pid}" in line for line in said))
        os.kill(first.pid, signal.SIGCONT)
        wait_until(lambda: child.stopped_at is None)
        assert child.process is first
        supervisor.stopped_limit_s = 0.5
        os.kill(first.pid, signal.SIGSTOP)
        wait_until(lambda: child.process is not first)
        assert said[-1] == "one is still stopped; starting it anew"
        assert first.poll() is not None
        assert child.deaths == []
    finally:
        supervisor.stop()
        runner.join(5)
