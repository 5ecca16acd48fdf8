"""What a browser is sent for a recording: the file itself, or a copy made once where none plays it.

Copies are made by the decoder process, kept beside the recordings up to PLAYBACK_CACHE_MB, and go
with the recording, or when others were played later.
"""

import hashlib
import logging
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import BoundedSemaphore

from django.conf import settings
from django.core.files.storage import default_storage

from audiosearch.engine.audio.sandbox import browser_type, write_flac
from audiosearch.engine.errors import AudioError, Busy

log = logging.getLogger(__name__)
FOLDER = "playback"
ANYTHING = "application/octet-stream"
AT_ONCE = 2
WAIT_S = 60
"""For a turn: a copy takes seconds, and who waits wants to hear it."""
PART_S = 3600
"""A copy that was begun so long ago was cut off."""
_turns = BoundedSemaphore(AT_ONCE)


@dataclass(frozen=True)
class Played:
    """A file on the disk and its media type."""

    path: Path
    media_type: str


def as_played(name: str, *, copy: bool = False) -> Played:
    """What browsers play of the stored file `name`; copy: the copy that all do, whatever it is.

    Raises FileNotFoundError, and Busy.
    """
    stored = Path(default_storage.path(name))
    media_type = _type_of(name)
    if media_type and not copy:
        return Played(stored, media_type)
    try:
        return Played(_copy_of(name, stored), "audio/flac")
    except AudioError as error:
        log.warning("%s is sent as it is: %s", name, error)
        return Played(stored, ANYTHING)


@lru_cache(maxsize=10_000)
def _type_of(name: str) -> str:
    """Empty when browsers need a copy. What is stored under a name never changes."""
    try:
        return browser_type(Path(default_storage.path(name)))
    except AudioError:
        return ANYTHING


def forget_copies(name: str) -> None:
    """Delete what was made of a stored file; to be called after the file itself is deleted."""
    for path in _folder().glob(f"{_key(name)}*"):
        path.unlink(missing_ok=True)


def _copy_of(name: str, stored: Path) -> Path:
    copy = _folder() / f"{_key(name)}.flac"
    if not _touched(copy):
        with _turn():
            if not _touched(copy):  # somebody made it meanwhile
                _make(stored, copy)
                _keep_within(settings.PLAYBACK_CACHE_MB * 2**20, copy)
    if not stored.exists():  # deleted while the copy was made
        copy.unlink(missing_ok=True)
        raise FileNotFoundError(name)
    return copy


def _make(stored: Path, copy: Path) -> None:
    """Raises AudioError, and FileNotFoundError also when it was to be forgotten meanwhile."""
    copy.parent.mkdir(exist_ok=True)
    with tempfile.NamedTemporaryFile(
        dir=copy.parent, prefix=copy.stem, suffix=".part", delete=False
    ) as draft:
        try:
            write_flac(stored, draft)  # type: ignore[arg-type] # a file as good as any
            draft.flush()
            Path(draft.name).replace(copy)
        finally:
            Path(draft.name).unlink(missing_ok=True)


@contextmanager
def _turn() -> Iterator[None]:
    if not _turns.acquire(timeout=WAIT_S):
        raise Busy("Other recordings are being prepared for playing; try again in a moment.")
    try:
        yield
    finally:
        _turns.release()


def _keep_within(limit: int, latest: Path) -> None:
    """Delete copies, those played longest ago first, and what was cut off."""
    found = []
    for path in _folder().iterdir():
        with suppress(FileNotFoundError):
            if path.suffix != ".part":
                found.append((path.stat().st_mtime, path.stat().st_size, path))
            elif path.stat().st_mtime < time.time() - PART_S:
                path.unlink()
    total = sum(size for _, size, _ in found)
    for _, size, path in sorted(found):
        if total > limit and path != latest:
            path.unlink(missing_ok=True)
            total -= size


def _touched(copy: Path) -> bool:
    """Whether it is there; its time says when it was played last."""
    try:
        os.utime(copy)
    except FileNotFoundError:
        return False
    return True


def _folder() -> Path:
    return Path(default_storage.path(FOLDER))


def _key(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:32]
