"""What a browser is sent for a recording: the file itself, or a copy made once where none plays it.

Copies are made by the decoder process, kept beside the recordings up to PLAYBACK_CACHE_MB, and go
with the recording, or when others were played later.
"""

import errno
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
from threading import Condition

from django.conf import settings
from django.core.files.storage import default_storage

from apps.catalog.recordings import sound_of
from audiosearch.engine.audio.sandbox import browser_type, write_flac
from audiosearch.engine.digests import sha256_of
from audiosearch.engine.errors import AudioError, Busy

log = logging.getLogger(__name__)
FOLDER = "playback"
ANYTHING = "application/octet-stream"
AT_ONCE = 2
PART_S = 3600
"""A copy that was begun so long ago was cut off."""
_being_made = set[Path]()
_made = Condition()


@dataclass(frozen=True)
class Played:
    """A file on the disk and its media type."""

    path: Path
    media_type: str


def as_played(name: str, *, stream: int | None = None, copy: bool = False) -> Played:
    """What browsers play of the stored file `name`; copy: the copy that all do, whatever it is.

    stream: the sound track that is heard of it, which is always the same of one file.
    Raises FileNotFoundError, and Busy.
    """
    stored = Path(default_storage.path(name))
    try:
        media_type = _type_of(name)
    except AudioError:
        media_type = ANYTHING
    if media_type and not copy:
        return Played(stored, media_type)
    try:
        return Played(_copy_of(name, sound_of(name, stream)), "audio/flac")
    except (AudioError, OSError) as error:
        if isinstance(error, OSError) and error.errno != errno.ENOSPC:
            raise
        log.warning("%s is sent as it is: %s", name, error)
        return Played(stored, ANYTHING)


@lru_cache(maxsize=10_000)
def _type_of(name: str) -> str:
    """Empty when browsers need a copy. What is stored under a name never changes, but it may be
    damaged for a while: then an AudioError is raised, which is not remembered."""
    return browser_type(Path(default_storage.path(name)))


def forget_copies(name: str) -> None:
    """Delete what was made of a stored file; to be called after the file itself is deleted."""
    for path in _folder().glob(f"{_key(name)}*"):
        path.unlink(missing_ok=True)


def forget_damaged_copy(name: str) -> None:
    """Delete the copy of a stored file unless its bytes are as they were written."""
    copy = _folder() / f"{_key(name)}.flac"
    try:
        if sha256_of(copy) == _digest_of(copy).read_text():
            return
    except (FileNotFoundError, UnicodeDecodeError):  # the latter a digest that is damaged itself
        pass
    if copy.exists():
        log.warning("the copy of %s for browsers is damaged; it is made anew when asked for", name)
        forget_copies(name)


def _copy_of(name: str, stored: Path) -> Path:
    copy = _folder() / f"{_key(name)}.flac"
    if not _touched(copy):
        with _turn(copy):
            if not _touched(copy):  # somebody made it meanwhile
                _make(stored, copy)
                _keep_within(settings.PLAYBACK_CACHE_MB * 2**20, copy)
    if not stored.exists():  # deleted while the copy was made
        forget_copies(name)
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
            _digest_of(copy).write_text(sha256_of(Path(draft.name)))
            Path(draft.name).replace(copy)
        finally:
            Path(draft.name).unlink(missing_ok=True)


@contextmanager
def _turn(copy: Path) -> Iterator[None]:
    """While nobody in this process makes the same copy, and few make others. Raises Busy."""

    def free() -> bool:
        return copy not in _being_made and len(_being_made) < AT_ONCE

    with _made:
        if not _made.wait_for(free, settings.QUERY_WAIT_S):
            raise Busy("Recordings are being prepared for playing; try again in a moment.")
        _being_made.add(copy)
    try:
        yield
    finally:
        with _made:
            _being_made.discard(copy)
            _made.notify_all()


def _keep_within(limit: int, latest: Path) -> None:
    """Delete copies, those played longest ago first, and what was cut off."""
    found = []
    for path in _folder().iterdir():
        with suppress(FileNotFoundError):
            if path.suffix == ".flac":
                found.append((path.stat().st_mtime, path.stat().st_size, path))
            elif path.suffix == ".part" and path.stat().st_mtime < time.time() - PART_S:
                path.unlink()
    total = sum(size for _, size, _ in found)
    for _, size, path in sorted(found):
        if total > limit and path != latest:
            path.unlink(missing_ok=True)
            _digest_of(path).unlink(missing_ok=True)
            total -= size


def _touched(copy: Path) -> bool:
    """Whether it is there, and not cut off; its time says when it was played last."""
    try:
        os.utime(copy)
        return copy.stat().st_size > 0
    except FileNotFoundError:
        return False


def _digest_of(copy: Path) -> Path:
    """Where its SHA-256 is."""
    return copy.with_suffix(".sha256")


def _folder() -> Path:
    return Path(default_storage.path(FOLDER))


def _key(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:32]
