"""Keeps a few child processes alive, and takes all of them down together."""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import FrameType

from apps.jobs.processes import is_stopped

RESTART_LIMIT = 5
RESTART_WINDOW_S = 60
STOPPED_LIMIT_S = 90
"""As long as a lease: a worker that is stopped for longer holds nothing any more."""
LOOK_S = 1
STOP_GRACE_S = 10
PR_SET_PDEATHSIG = 1


class ChildFailed(Exception):
    """A child could not be started, or keeps dying."""


@dataclass
class Child:
    """One process: what it runs, and how one knows that it is up.

    A one-shot child is not restarted; its end, good or bad, ends nothing else. The lines of a
    quiet child are shown only when it fails. One for which `is_broken` holds while it runs is
    killed, mended and started again; so is one that was stopped (SIGSTOP) for too long.
    """

    name: str
    argv: Sequence[str]
    env: dict[str, str] = field(default_factory=dict)
    is_up: Callable[[], bool] | None = None
    up_within_s: float = 60
    is_broken: Callable[[], bool] | None = None
    mend: Callable[[], None] | None = None
    one_shot: bool = False
    quiet: bool = False
    process: subprocess.Popen[str] | None = None
    deaths: list[float] = field(default_factory=list)
    stopped_at: float | None = None
    last_lines: deque[str] = field(default_factory=lambda: deque(maxlen=15))


class Supervisor:
    """Start children in order, restart those that die, stop all of them at the end."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say = say
        self.stopped_limit_s = STOPPED_LIMIT_S
        self._looked_at = 0.0
        self.children: list[Child] = []
        self.stopping = False

    def start(self, child: Child) -> None:
        """Start a child and wait until it is up; raises ChildFailed, with its last words."""
        self.begin(child)
        self.wait_until_up(child)

    def begin(self, child: Child) -> None:
        """Start a child and go on."""
        self.children.append(child)
        self._spawn(child)

    def wait_until_up(self, child: Child) -> None:
        """Raises ChildFailed, with its last words, when a child that was begun does not come up."""
        if child.is_up is None:
            return
        deadline = time.monotonic() + child.up_within_s
        while not child.is_up():
            if child.process is not None and child.process.poll() is not None:
                raise ChildFailed(self._epitaph(child))
            if time.monotonic() > deadline:
                raise ChildFailed(f"{child.name} was not up within {child.up_within_s:g} s.")
            if self._wait(0.1):
                return

    def run(self) -> None:
        """Watch until asked to stop; raises ChildFailed when a child keeps dying."""
        while not self._wait(0.2):
            for child in list(self.children):
                self._look_after(child)
            if time.monotonic() - self._looked_at > LOOK_S:
                self._looked_at = time.monotonic()
                self._look_for_stopped()

    def stop(self) -> None:
        """End every child, last started first; politely, then not."""
        self.stopping = True
        for child in reversed(self.children):
            if child.process is not None and child.process.poll() is None:
                child.process.terminate()  # only itself: it ends its own children in order
        deadline = time.monotonic() + STOP_GRACE_S
        for child in reversed(self.children):
            if child.process is None:
                continue
            try:
                child.process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                self._tell(f"{child.name} does not stop; killing it")
            self._kill(child)
            child.process.wait()

    def stop_on_signals(self) -> None:
        """Let Ctrl-C and SIGTERM end `run`.

        The handler takes no lock: it may run while the waiting thread holds the same one.
        """

        def handler(number: int, frame: FrameType | None) -> None:
            self.stopping = True

        signal.signal(signal.SIGINT, handler)
        signal.signal(signal.SIGTERM, handler)

    def _wait(self, seconds: float) -> bool:
        """Wait so long, or until asked to stop; whether it was asked."""
        deadline = time.monotonic() + seconds
        while not self.stopping and time.monotonic() < deadline:
            time.sleep(0.05)
        return self.stopping

    def _tell(self, line: str) -> None:
        """Say it, if it can be said: a full disk or a closed terminal ends nobody."""
        with suppress(OSError, ValueError):
            self.say(line)

    def _look_after(self, child: Child) -> None:
        if child.process is None:
            return
        if child.is_broken and child.mend and child.is_broken():
            self._tell(f"{child.name} cannot read its files; they are set aside and built anew")
            self._kill(child)
            child.process.wait()
            child.mend()
            self._spawn(child)
        if child.process.poll() is None:
            return
        if child.one_shot:
            self.children.remove(child)
            return
        now = time.monotonic()
        child.deaths = [death for death in child.deaths if now - death < RESTART_WINDOW_S] + [now]
        if len(child.deaths) >= RESTART_LIMIT:
            raise ChildFailed(f"{self._epitaph(child)}\nIt died {RESTART_LIMIT} times in a minute.")
        self._tell(f"{child.name} ended with code {child.process.returncode}; starting it again")
        self._kill(child)  # what it may have left of its own children
        self._wait(0.5 * len(child.deaths))
        self._spawn(child)

    def _look_for_stopped(self) -> None:
        """Tell of children that are stopped, and start those anew that are for too long."""
        now = time.monotonic()
        for child in self.children:
            if child.one_shot or child.process is None or not is_stopped(child.process.pid):
                child.stopped_at = None
            elif child.stopped_at is None:
                child.stopped_at = now
                self._tell(
                    f"{child.name} is stopped (SIGSTOP) and does nothing; kill -CONT "
                    f"{child.process.pid} continues it, in {self.stopped_limit_s:g} s it is begun "
                    "anew"
                )
            elif now - child.stopped_at > self.stopped_limit_s:
                self._tell(f"{child.name} is still stopped; starting it anew")
                self._kill(child)
                child.process.wait()
                self._spawn(child)

    def _spawn(self, child: Child) -> None:
        child.process = subprocess.Popen(
            child.argv,
            env={**os.environ, **child.env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
            preexec_fn=_end_with_parent if sys.platform == "linux" else None,
        )
        threading.Thread(target=self._relay, args=(child, child.process), daemon=True).start()

    def _relay(self, child: Child, process: subprocess.Popen[str]) -> None:
        """Pass on a child's lines, named, and keep the last ones."""
        for line in process.stdout or ():
            if line.strip():
                child.last_lines.append(line.rstrip())
                if child.quiet:
                    continue
                self._tell(line.rstrip() if child.one_shot else f"[{child.name}] {line.rstrip()}")

    def _kill(self, child: Child) -> None:
        """Kill a child's whole process group; a no-op when it is gone."""
        if child.process is None:
            return
        try:
            os.killpg(child.process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            return

    def _epitaph(self, child: Child) -> str:
        code = child.process.returncode if child.process else "?"
        time.sleep(0.2)  # let the relay read the last lines
        return f"{child.name} ended with code {code}. Its last words:\n" + "\n".join(
            child.last_lines
        )


def _end_with_parent() -> None:
    """In a new child: end when the supervisor does, even if it is killed (Linux, prctl(2))."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
