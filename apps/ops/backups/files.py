"""Files on their way into a backup or out of it: linked or copied, and their bytes compared."""

import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from apps.analysis.notes import FOLDER as NOTES
from apps.catalog.playback import FOLDER as PLAYBACK
from audiosearch.engine import digests
from audiosearch.engine.digests import sha256_of

LEFT_THERE = ("training", "speech", PLAYBACK, NOTES)
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

    older: backups with copies of the same files, the newest first. expected: the SHA-256 that
    recordings must have, by their name in the backup; representations end in their own. What a copy
    of these should be, it is, or it is among the damaged: a good one is never replaced by a damaged
    one.
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
            self._set_damaged(name, MISSING)

    def drop_others(self, *folders: str) -> None:
        """Of these folders what is in the backup no longer: erased is erased."""
        for folder in folders:
            for path in (self.target / folder).rglob("*"):
                if path.is_file() and str(path.relative_to(self.target)) not in self.sums:
                    path.unlink()

    def _add(self, name: str, path: Path) -> None:
        try:
            found = sha256_of(path)
            intact = found == self.expected[name] if name in self.expected else _ends_well(path)
            problem = "" if intact else DIFFERS
        except OSError as error:
            if error.errno not in UNREADABLE:
                raise
            found, problem = "", f"it cannot be read ({error.strerror})"
        if problem:
            self._set_damaged(name, problem)
        elif self._take(name, partial(has_digest, digest=found)):
            self.sums[name] = found
        if found and name not in self.sums:
            self.sums[name] = copy_file(path, self.target / name)

    def _set_damaged(self, name: str, problem: str) -> None:
        """Tell of it, with the last good copy in its place, if any backup has one."""
        digest = self.expected.get(name)
        if self._take(name, partial(has_digest, digest=digest) if digest else _is_representation):
            self.sums[name] = sha256_of(self.target / name)
            problem += "; the last good copy is in this backup"
        self.damaged[name] = problem

    def _take(self, name: str, is_good: Callable[[Path], bool]) -> bool:
        """Whether a good copy is there, or could be taken from an older backup."""
        copy = self.target / name
        if is_good(copy):
            return True
        for path in (folder / name for folder in self.older):
            if is_good(path):
                _link(path, copy)
                return True
        return False


def _ends_well(path: Path) -> bool:
    """Whether a file that ends in a digest ends in its own; others always do. Raises OSError."""
    try:
        with path.open("rb") as file:
            digests.has_digest(file)
    except digests.Damaged:
        return False
    return True


def _is_representation(path: Path) -> bool:
    """Whether a file is there, can be read, and ends in its own digest."""
    try:
        with path.open("rb") as file:
            return digests.has_digest(file)
    except (OSError, digests.Damaged):
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
