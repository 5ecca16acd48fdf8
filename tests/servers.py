"""The real servers, as processes on free loopback ports, stopped with all their children.

Each is a context manager that yields an address once the server answers. A test run that is killed
leaves none of them.
"""

import fcntl
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from types import MappingProxyType

from pymilvus import MilvusClient
from pymilvus.exceptions import MilvusException

REPOSITORY = Path(__file__).resolve().parent.parent
GRACE_S = 5
PORTS = range(20_000, 32_768)
"""Below those that the system takes for outgoing connections."""
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
    """A TCP port that nobody listens on, and that no other test is given for a long time."""
    last = Path(tempfile.gettempdir()) / f"audiosearch-test-port-{os.getuid()}"
    with last.open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        port = int(file.read() or random.choice(PORTS))
        while True:
            port = port + 1 if port + 1 in PORTS else PORTS.start
            with socket.socket() as probe, suppress(OSError):
                probe.bind(("127.0.0.1", port))
                break
        file.truncate(0)
        file.write(str(port))
    return port


class Server:
    """A server as a process group of its own, that can be stopped, paused and started again.

    It keeps its address and its data.
    """

    def __init__(
        self,
        url: str,
        command: Sequence[str],
        log: Path,
        ready: Callable[[], bool],
        *,
        wait_s: float,
        environment: Mapping[str, str] = MappingProxyType({}),
        stop_signal: int = signal.SIGTERM,
    ) -> None:
        self.url = url
        self._command = command
        self._log = log
        self._ready = ready
        self._wait_s = wait_s
        self._environment = environment
        self._stop_signal = stop_signal
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: Guard | None = None

    def start(self) -> None:
        """Start and wait until it answers; raises ServerFailed."""
        with self._log.open("w") as output:
            self._process = subprocess.Popen(
                self._command,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd=self._log.parent,
                env={**os.environ, **self._environment},
            )
        self._guard = Guard(self._process.pid)
        deadline = time.monotonic() + self._wait_s
        while not self._ready():
            ended = self._process.poll() is not None
            if ended or time.monotonic() > deadline:
                self.stop()
                how = "stopped" if ended else f"not ready in {self._wait_s:.0f} s"
                said = self._log.read_text()[-2000:]
                raise ServerFailed(f"{self._command[0]} {how}:\n{said}")
            time.sleep(0.05)

    def stop(self) -> None:
        """End it and all its children: politely, then not; a no-op when it does not run."""
        if self._process is None:
            return
        _signal(self._process, signal.SIGCONT)
        _stop(self._process, self._stop_signal)
        self._release()

    def kill(self) -> None:
        """End it as a crash does."""
        assert self._process is not None
        _signal(self._process, signal.SIGKILL)
        self._process.wait(GRACE_S)
        self._release()

    def pause(self) -> None:
        """Let it hang: it takes connections and says nothing."""
        assert self._process is not None
        _signal(self._process, signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        _signal(self._process, signal.SIGCONT)

    def _release(self) -> None:
        assert self._guard is not None
        self._guard.release()
        self._process = self._guard = None


class Guard:
    """A process that sends `number` to the group `pid` should this process die before `release`."""

    def __init__(self, pid: int, number: int = signal.SIGKILL) -> None:
        # A line says that all is well; without one, the pipe has closed as its writer has died.
        command = f"read -r line || kill -{number:d} -{pid}"
        self._process = subprocess.Popen(
            ["sh", "-c", command],
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def release(self) -> None:
        self._process.communicate(b"released\n")


@contextmanager
def shared(
    folder: Path, name: str, start: Callable[[], AbstractContextManager[str]]
) -> Iterator[str]:
    """The address of a server that all processes of a test run use; `folder` is theirs together.

    The first to ask starts it, and stops it when nobody uses it any more.
    """
    address = folder / f"{name}.url"
    with ExitStack() as server, (folder / f"{name}.users").open("w") as users:
        with _locked(folder / f"{name}.lock"):
            started = not address.exists()
            if started:
                address.write_text(server.enter_context(start()))
            fcntl.flock(users, fcntl.LOCK_SH)
        try:
            yield address.read_text()
        finally:
            if started:
                with _locked(folder / f"{name}.lock"):
                    address.unlink()
                fcntl.flock(users, fcntl.LOCK_EX)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def milvus_lite(data_dir: Path, *, port: int = 0) -> Iterator[str]:
    """Milvus Lite's server on `data_dir`; yields its URI."""
    with milvus_lite_process(data_dir, port=port) as server:
        yield server.url


@contextmanager
def milvus_lite_process(data_dir: Path, *, port: int = 0) -> Iterator[Server]:
    """Milvus Lite's server on `data_dir`.

    One worker: Lite's engine does not guard a collection against two writers at once.
    """
    program = Path(sys.executable).parent / "milvus-lite"
    port = port or free_port()
    command = [
        _found(program, "milvus-lite"), "server", "--data-dir", str(data_dir),
        "--host", "127.0.0.1", "--port", str(port), "--max-workers", "1",
    ]  # fmt: skip
    server = Server(
        f"http://127.0.0.1:{port}",
        command,
        data_dir.with_suffix(".log"),
        lambda: listens(port) and _is_milvus(server.url),
        wait_s=60,
    )
    with _running(server):
        yield server


def _is_milvus(uri: str) -> bool:
    """Whether it answers: on a busy machine, Lite listens seconds before."""
    with suppress(MilvusException):
        MilvusClient(uri, timeout=10, dedicated=True).close()
        return True
    return False


@contextmanager
def milvus_server(data_dir: Path) -> Iterator[str]:
    """The real Milvus standalone server on `data_dir`; yields its URI."""
    with milvus_server_process(data_dir) as server:
        yield server.url


@contextmanager
def milvus_server_process(data_dir: Path) -> Iterator[Server]:
    """The real Milvus standalone server on `data_dir`.

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
    server = Server(
        f"http://127.0.0.1:{ports['proxy']}",
        [program, "--data", str(data_dir), *options],
        log,
        lambda: "Ctrl+C to exit" in log.read_text(),
        wait_s=180,  # it unpacks 250 MB of programs into its data directory first
        environment={"ETCD_CONFIG_PATH": str(etcd), "PYTHONUNBUFFERED": "1"},
    )
    with _running(server):
        yield server


@contextmanager
def redis_server() -> Iterator[str]:
    """Redis, keeping nothing; yields its URL."""
    with redis_process() as server:
        yield server.url


@contextmanager
def redis_process() -> Iterator[Server]:
    """Redis, keeping nothing, not even over a restart."""
    program = shutil.which("redis-server") or "redis-server"
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:
        command = [
            _found(Path(program), "redis-server"), "--port", str(port), "--bind", "127.0.0.1",
            "--dir", folder, "--save", "", "--appendonly", "no",
        ]  # fmt: skip
        server = Server(
            f"redis://127.0.0.1:{port}/0",
            command,
            Path(folder) / "log",
            lambda: listens(port),
            wait_s=20,
        )
        with _running(server):
            yield server


@contextmanager
def postgres_server() -> Iterator[str]:
    """PostgreSQL with one empty database; yields its URL."""
    with postgres_process() as server:
        yield server.url


@contextmanager
def postgres_process() -> Iterator[Server]:
    """PostgreSQL with one empty database. Run by root, it becomes postgres.

    It is stopped by SIGINT, which ends the sessions of its clients rather than wait for them.
    """
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
        server = Server(
            f"postgresql://audiosearch@127.0.0.1:{port}/postgres",
            command,
            log,
            lambda: subprocess.run(ready).returncode == 0,
            wait_s=60,
            stop_signal=signal.SIGINT,
        )
        with _running(server):
            yield server


@contextmanager
def _running(server: Server) -> Iterator[None]:
    server.start()
    try:
        yield
    finally:
        server.stop()


def _stop(process: subprocess.Popen[bytes], number: int) -> None:
    """End the whole process group: a server's children may outlive it."""
    _signal(process, number)
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


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _found(program: Path, name: str) -> str:
    if not program.exists():
        raise ServerMissing(f"{name} is not installed at {program}; ./test installs what it needs.")
    return str(program)
