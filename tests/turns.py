"""Tests marked `alone`, which measure time or wait for a moment, run while no other test does."""

import fcntl
import os
from collections.abc import Generator
from pathlib import Path
from typing import IO

import pytest


class Turns:
    """Each test holds the room together with others, and one marked `alone` for itself.

    All workers share `folder`. Whoever waits for the room keeps the door, so that no stream of
    others can keep it waiting.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._room: IO[str] | None = None

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self) -> Generator[None, bool, bool]:
        self.enter()
        try:
            return (yield)
        finally:
            self.leave()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, None, None]:
        if item.get_closest_marker("alone"):
            self.leave()
            self.enter(alone=True)
        yield

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self) -> Generator[None, None, None]:
        self.leave()  # as it may wait for other workers, to stop a server that they use
        yield

    def enter(self, *, alone: bool = False) -> None:
        with (self._folder / "door").open("w") as door:
            fcntl.flock(door, fcntl.LOCK_EX)
            self._room = (self._folder / "room").open("w")
            fcntl.flock(self._room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)

    def leave(self) -> None:
        if self._room is not None:
            self._room.close()
            self._room = None


def shared_folder(config: pytest.Config) -> Path:
    """A folder that all workers of a run see."""
    own = Path(config._tmp_path_factory.getbasetemp())  # type: ignore[attr-defined]
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
