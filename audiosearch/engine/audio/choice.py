"""Which of a file's sound tracks is heard, where somebody has chosen: it goes with the path."""

from pathlib import Path, PosixPath


class ChosenPath(PosixPath):
    """A path that says which sound track is meant: its number from 0, or its language ("eng")."""

    stream = ""


def with_stream(path: Path, stream: str | int | None) -> Path:
    """The same file, to be heard by that sound track; None or "" leaves it to the decoder."""
    if stream is None or stream == "":
        return path
    chosen = ChosenPath(path)
    chosen.stream = str(stream)
    return chosen


def stream_of(path: Path) -> str:
    """What was chosen; empty when nothing was."""
    return path.stream if isinstance(path, ChosenPath) else ""
