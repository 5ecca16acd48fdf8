"""Who else on this machine may read what is kept below DATA_DIR."""

import os
import stat
from collections import deque
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from django.conf import settings

SAMPLE = 50
MOST = 1000


def open_to_others(folder: Path) -> list[Path]:
    """The files and folders of ours that others may open, of those looked at: what is directly in
    the folder first, then up to SAMPLE of each folder below, and MOST in all. Static files are not
    looked at: everybody gets them."""
    return [path for path in islice(_looked_at(folder), MOST) if _too_wide(path)]


def close_well_known() -> None:
    """Take the database, the secrets and the folder itself from others; what is not ours stays."""
    for path in _well_known():
        if too_much := _too_wide(path):
            path.chmod(stat.S_IMODE(path.stat().st_mode) & ~too_much)


def _well_known() -> list[Path]:
    folder = Path(settings.DATA_DIR)
    database = Path(str(settings.DATABASES["default"]["NAME"]))
    beside = [database.with_name(database.name + end) for end in ("", "-wal", "-shm")]
    return [folder, folder / "credentials.json", folder / "secret_key", *beside]


def _too_wide(path: Path) -> int:
    """The bits of a mode that others should not have; none of links and of what others own."""
    try:
        told = path.lstat()
    except OSError:
        return 0
    if stat.S_ISLNK(told.st_mode) or told.st_uid != os.geteuid():
        return 0
    return stat.S_IMODE(told.st_mode) & settings.UMASK


def _looked_at(folder: Path) -> Iterator[Path]:
    yield folder
    folders, sample = deque([folder]), MOST
    while folders:
        try:
            with os.scandir(folders.popleft()) as entries:
                for entry in islice(entries, sample):
                    yield Path(entry.path)
                    kept = Path(entry.path) != Path(settings.STATIC_ROOT)
                    if kept and entry.is_dir(follow_symlinks=False):
                        folders.append(Path(entry.path))
        except OSError:
            continue  # not ours to look into, or gone meanwhile
        sample = SAMPLE
