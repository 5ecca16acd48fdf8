"""Files on their way into a backup or out of it: linked or copied, and their bytes compared."""

import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from apps.catalog.playback import FOLDER as PLAYBACK
from apps.ops.backups.folders import sha256_of

LAST = "last-backup.json"
LEFT_THERE = ("training", "speech", PLAYBACK, LAST)
UNLINKABLE = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOSYS)
UNREADABLE = (errno.EIO, errno.EACCES)
BLOCK = 1 << 20
DIFFERS = "its SHA-256 is not the one that is known of it"
MISSING = "it is missing"
Told = Callable[[str, int], None]
"""Called with what is being copied, and how much of it is done."""


@dataclass
class Copying:
    """Files that go into a backup, and what is known of them.

    older: backups with copies of the same files, the newest first. expected: the SHA-256 that some
    files must have, by their name in the backup. What a copy of these should be, it is, or it is
    among the damaged: a good copy is never replaced by a damaged one.
    """

    target: Path
    older: Sequence[Path]
    expected: Mapping[str, str]
    told: Told
    sums: dict[str, str] = field(default_factory=dict)
    damaged: dict[str, str] = field(default_factory=dict)

    def add_tree(self, prefix: str, source: Path) -> None:
        """All files below a folder, unless they are deleted meanwhile; raises OSError."""
        for path in _files_of(source):
            name = f"{prefix}/{path.relative_to(source)}"
            try:
                self._add(name, path)
            except FileNotFoundError:
                if path.exists():
                    raise
                continue
            self.told("Files", len(self.sums))

    def add_missing(self, names: Iterable[str]) -> None:
        """Those that should be there and are not: the copy that an older backup has is kept."""
        for name in names:
            kept = self._is_kept(name, self.expected[name])
            if kept:
                self.sums[name] = self.expected[name]
            self._set_damaged(name, MISSING, kept)

    def drop_others(self, *folders: str) -> None:
        """Of these folders what is in the backup no longer: erased is erased."""
        for folder in folders:
            for path in (self.target / folder).rglob("*"):
                if path.is_file() and str(path.relative_to(self.target)) not in self.sums:
                    path.unlink()

    def _add(self, name: str, path: Path) -> None:
        found, problem = "", ""
        try:
            found = sha256_of(path)
        except OSError as error:
            if error.errno not in UNREADABLE:
                raise
            problem = f"it cannot be read ({error.strerror})"
        wanted = self.expected.get(name) or found
        if found != wanted:
            problem = problem or DIFFERS
        kept = bool(wanted) and self._is_kept(name, wanted)
        if kept:
            self.sums[name] = wanted
        elif found:
            self.sums[name] = copy_file(path, self.target / name)
        if problem:
            self._set_damaged(name, problem, kept)

    def _set_damaged(self, name: str, problem: str, kept: bool) -> None:
        self.damaged[name] = f"{problem}; the last good copy is in this backup" if kept else problem

    def _is_kept(self, name: str, digest: str) -> bool:
        """Whether the file is there with these bytes, or could be taken from an older backup."""
        copy = self.target / name
        if has_digest(copy, digest):
            return True
        older = self.older if name in self.expected else self.older[:1]
        for path in (folder / name for folder in older):
            if has_digest(path, digest):
                _link(path, copy)
                return True
        return False


def has_digest(path: Path, digest: str) -> bool:
    """Whether a file is there, can be read, and has this SHA-256."""
    try:
        return sha256_of(path) == digest
    except FileNotFoundError:
        return False
    except OSError as error:
        if error.errno not in UNREADABLE:
            raise
        return False


def copy_file(source: Path, target: Path) -> str:
    """Copy a file, read the copy again, and return its SHA-256; raises OSError when they differ."""
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f"{target.name}.part")
    read = hashlib.sha256()
    with source.open("rb") as one, draft.open("wb") as other:
        while block := one.read(BLOCK):
            read.update(block)
            other.write(block)
    shutil.copystat(source, draft)
    if sha256_of(draft) != read.hexdigest():
        raise OSError(errno.EIO, "What was written reads differently; is the disk failing?", draft)
    draft.replace(target)
    return read.hexdigest()


def _link(path: Path, target: Path) -> None:
    """Share a file that never changes; where the file system cannot, copy it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(path, target)
    except OSError as error:
        if error.errno not in UNLINKABLE:
            raise
        copy_file(path, target)


def _files_of(source: Path) -> Iterator[Path]:
    """All but what is being written, what is made anew, and a training that goes on."""
    for path in source.rglob("*"):
        inside = path.relative_to(source).parts
        if path.is_file() and path.suffix != ".part" and inside[0] not in LEFT_THERE:
            yield path
