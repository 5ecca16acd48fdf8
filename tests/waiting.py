"""Waiting for what another process or thread does."""

import time
from collections.abc import Callable
from typing import Any


def wait_until(test: Callable[[], Any], seconds: float = 30) -> None:
    """Return once `test` is true; fails after so long."""
    deadline = time.monotonic() + seconds
    while not test():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
