"""What a process that runs by itself tells of its last run: a small file beside the recordings.

That folder all web servers and workers share.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from django.conf import settings

T = TypeVar("T")
FOLDER = "notes"


def write_note(name: str, note: Any) -> None:
    """Keep a dataclass of what JSON knows, in place of the last one of that name."""
    _path(name).parent.mkdir(exist_ok=True)
    draft = _path(name).with_suffix(".part")
    draft.write_text(json.dumps(asdict(note)))
    draft.replace(_path(name))


def read_note(name: str, kind: type[T]) -> T | None:
    """What was kept; None when there is nothing, or it is damaged or of another version."""
    try:
        return kind(**json.loads(_path(name).read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def _path(name: str) -> Path:
    return Path(settings.MEDIA_ROOT) / FOLDER / f"{name}.json"
