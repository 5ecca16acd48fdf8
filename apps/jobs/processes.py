"""What the kernel says of a process; without Django, for the supervisor too."""

from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")
GONE = (FileNotFoundError, ProcessLookupError)


def is_stopped(pid: int) -> bool:
    """Whether a process, or a child of its own, was stopped (SIGSTOP) and waits for SIGCONT.

    Always False where there is no /proc.
    """
    return any(_state(each) == "T" for each in [pid, *_children(pid)])


def _state(pid: int) -> str:
    with suppress(*GONE):
        return (PROC / str(pid) / "stat").read_text().rpartition(") ")[2][:1]
    return ""


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for path in (PROC / str(pid) / "task").glob("*/children"):
        with suppress(*GONE):
            found += map(int, path.read_text().split())
    return found
