"""The real servers, as processes on free loopback ports, stopped with all their children.

Each is a context manager that yields an address once the server answers.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType

REPOSITORY = Path(__file__).resolve().parent.parent
GRACE_S = 5
MILVUS_PORTS = (
    "etcd", "root-coord", "proxy", "proxy-internal", "query-coord", "query-node", "index-coord",
    "index-node", "data-coord", "data-node",
)  # fmt: skip
ETCD = """\
data-dir: {data}
listen-client-urls: http://127.0.0.1:{client}
advertise-client-urls: http://127.0.0.1:{client}
listen-peer-urls: http://127.0.0.1:{peer}
initial-advertise-peer-urls: http://127.0.0.1:{peer}
initial-cluster: default=http://127.0.0.1:{peer}
"""


class ServerMissing(Exception):
    """The program is not installed; the message says what to do."""


class ServerFailed(Exception):
    """The server stopped or did not answer in time; the message ends with what it printed."""


def free_port() -> int:
    """A TCP port nobody listens on. Another process may still take it first."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def milvus_lite(data_dir: Path, *, port: int = 0) -> Iterator[str]:
    """Milvus Lite's server on `data_dir`; yields its URI.

    One worker: Lite's engine does not guard a collection against two writers at once.
    """
    program = Path(sys.executable).parent / "milvus-lite"
    port = port or free_port()
    command = [
        _found(program, "milvus-lite"), "server", "--data-dir", str(data_dir),
        "--host", "127.0.0.1", "--port", str(port), "--max-workers", "1",
    ]  # fmt: skip
    log = data_dir.with_suffix(".log")
    with _running(command, log, lambda: _listens(port), wait_s=60):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def milvus_server(data_dir: Path) -> Iterator[str]:
    """The real Milvus standalone server on `data_dir`; yields its URI.

    Its embedded etcd listens on fixed ports unless told otherwise in a file of its own, so that
    a second server on a machine would crash.
    """
    fallback = REPOSITORY / ".venv-milvus" / "bin" / "milvus-server"
    program = _found(Path(os.environ.get("MILVUS_SERVER") or fallback), "milvus-server")
    data_dir.mkdir(parents=True, exist_ok=True)
    ports = {name: free_port() for name in MILVUS_PORTS}
    etcd = data_dir / "etcd.yaml"
    etcd.write_text(
        ETCD.format(client=ports["etcd"], peer=free_port(), data=data_dir / "data" / "etcd.data")
    )
    options = [f"--{name}-port={port}" for name, port in ports.items()]
    log = data_dir.with_suffix(".log")
    with _running(
        [program, "--data", str(data_dir), *options],
        log,
        lambda: "Ctrl+C to exit" in log.read_text(),
        wait_s=180,  # it unpacks 250 MB of programs into its data directory first
        environment={"ETCD_CONFIG_PATH": str(etcd), "PYTHONUNBUFFERED": "1"},
    ):
        yield f"http://127.0.0.1:{ports['proxy']}"


@contextmanager
def redis_server() -> Iterator[str]:
    """Redis, keeping nothing; yields its URL."""
    program = shutil.which("redis-server") or "redis-server"
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:
        command = [
            _found(Path(program), "redis-server"), "--port", str(port), "--bind", "127.0.0.1",
            "--dir", folder, "--save", "", "--appendonly", "no",
        ]  # fmt: skip
        with _running(command, Path(folder) / "log", lambda: _listens(port), wait_s=20):
            yield f"redis://127.0.0.1:{port}/0"


@contextmanager
def postgres_server() -> Iterator[str]:
    """PostgreSQL with one empty database; yields its URL. Run by root, it becomes postgres."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    binaries = programs[-1] if programs else Path("/usr/lib/postgresql")
    initdb = _found(binaries / "initdb", "PostgreSQL")
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="postgres-") as folder:
        as_user: list[str] = []
        if os.geteuid() == 0:
            as_user = ["runuser", "-u", "postgres", "--"]
            os.chown(folder, pwd.getpwnam("postgres").pw_uid, -1)
        data, log = Path(folder) / "data", Path(folder) / "log"
        subprocess.run(
            [*as_user, initdb, "-D", str(data), "-U", "audiosearch", "--auth=trust",
             "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"],
            check=True, capture_output=True, cwd=folder,
        )  # fmt: skip
        command = [
            *as_user, str(binaries / "postgres"), "-D", str(data), "-p", str(port),
            "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=",
            "-c", "fsync=off",
        ]  # fmt: skip
        ready = [str(binaries / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
        with _running(command, log, lambda: subprocess.run(ready).returncode == 0, wait_s=60):
            yield f"postgresql://audiosearch@127.0.0.1:{port}/postgres"


@contextmanager
def _running(
    command: Sequence[str],
    log: Path,
    ready: Callable[[], bool],
    *,
    wait_s: float,
    environment: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[None]:
    with log.open("w") as output:
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=log.parent,
            env={**os.environ, **environment},
        )
    try:
        deadline = time.monotonic() + wait_s
        while not ready():
            if process.poll() is not None or time.monotonic() > deadline:
                how = "stopped" if process.poll() is not None else f"not ready in {wait_s:.0f} s"
                raise ServerFailed(f"{command[0]} {how}:\n{log.read_text()[-2000:]}")
            time.sleep(0.05)
        yield
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the whole process group: a server's children may outlive it."""
    _signal(process, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(GRACE_S)
    deadline = time.monotonic() + GRACE_S
    while _signal(process, 0) and time.monotonic() < deadline:
        time.sleep(0.05)
    _signal(process, signal.SIGKILL)
    process.wait(GRACE_S)


def _signal(process: subprocess.Popen[bytes], number: int) -> bool:
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return False
    return True


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _found(program: Path, name: str) -> str:
    if not program.exists():
        raise ServerMissing(f"{name} is not installed at {program}; ./test installs what it needs.")
    return str(program)
