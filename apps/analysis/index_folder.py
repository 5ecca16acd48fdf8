"""The files of the embedded index: set aside when they cannot be read, deleted once rebuilt.

Whoever finds them damaged leaves a mark; the supervisor, which alone owns the server and its
folder, then starts it on an empty one, and the next reconciliation fills that.
"""

import shutil
import time
from pathlib import Path

from django.conf import settings

PAUSE_S = 600
"""Not more often is it begun anew: what breaks at once again needs a person."""
ASIDE = "milvus-unreadable"


def ask_for_new() -> None:
    """Leave the mark that the embedded index cannot be read."""
    _mark().touch()


def new_is_asked_for() -> bool:
    """Whether the mark is there, and the index was not begun anew a moment ago."""
    try:
        recent = time.time() - _begun().stat().st_mtime < PAUSE_S
    except FileNotFoundError:
        recent = False
    return _mark().exists() and not recent


def begin_anew() -> None:
    """Put the files that cannot be read aside; to be called while no server has them open."""
    folder = Path(settings.DATA_DIR) / "milvus"
    aside = folder.with_name(f"{ASIDE}-{time.time_ns()}")
    if folder.exists():
        folder.rename(aside)
    folder.mkdir()
    _begun().touch()
    _mark().unlink(missing_ok=True)


def drop_set_aside() -> None:
    """Delete what was put aside; what is in use by then was built from the kept vectors."""
    for folder in Path(settings.DATA_DIR).glob(f"{ASIDE}-*"):
        shutil.rmtree(folder)


def _mark() -> Path:
    return Path(settings.DATA_DIR) / "run" / "index-unreadable"


def _begun() -> Path:
    return Path(settings.DATA_DIR) / "run" / "index-begun-anew"
