"""Labelled recordings: the CSV that says what they are, and errors that say which one it was."""

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from audiosearch.engine.errors import AudioError


def read_rows(path: Path, column: str) -> list[dict[str, str]]:
    """Rows of a CSV with the columns path and `column`. Raises ValueError when one is missing."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if not rows or not {"path", column} <= set(rows[0]):
        raise ValueError(f"{path} must have the columns path and {column}.")
    return rows


@contextmanager
def name_in_errors(path: Path) -> Iterator[None]:
    """Let errors of reading a recording, a missing one too, be AudioErrors that name it."""
    try:
        yield
    except AudioError as error:
        raise type(error)(f"{path}: {error}") from error
    except OSError as error:
        raise AudioError(f"{path}: {error.strerror}") from error
