"""Progress of a command on one line of the terminal."""

import time
from typing import Any


class Line:
    """Shows what is being done and how much of it is, on a terminal only."""

    def __init__(self, stream: Any) -> None:
        self.stream, self.shown_at = stream, 0.0

    def __enter__(self) -> "Line":
        return self

    def __exit__(self, *error: object) -> None:
        if self.shown_at:
            self.stream.write("")

    def show(self, what: str, done: int) -> None:
        if self.stream.isatty() and time.monotonic() - self.shown_at > 0.2:
            self.stream.write(f"\r{what}: {done}          ", ending="")
            self.shown_at = time.monotonic()
