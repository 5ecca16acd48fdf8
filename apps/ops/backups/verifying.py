"""Whether what a backup's manifest says is there and intact."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apps.ops.backups.files import MISSING, UNREADABLE, Told
from apps.ops.backups.folders import (
    MANIFEST,
    SUMS,
    NoBackup,
    read_manifest,
    read_sums,
    whole_backups,
)
from audiosearch.engine.digests import sha256_of

OLD = "it was made by a version that kept no checksums; make a new one"


@dataclass(frozen=True)
class Verified:
    """What was found: how many files were read, and what is wrong with which, by name."""

    folder: Path
    manifest: dict[str, Any]
    files: int
    problems: dict[str, str]


def verify(folder: Path, told: Told) -> list[Verified]:
    """Read every file of a backup, or of all generations in a folder, the oldest first.

    Files that generations share are read once. Raises NoBackup.
    """
    known: dict[tuple[int, int], str] = {}
    return [_verify(each, known, told) for each in whole_backups(folder)]


def _verify(folder: Path, known: dict[tuple[int, int], str], told: Told) -> Verified:
    try:
        manifest = read_manifest(folder)
    except NoBackup:
        return Verified(folder, {}, 0, {MANIFEST: "it is damaged"})
    if "checksums" not in manifest:
        return Verified(folder, manifest, 0, {SUMS: OLD})
    if problem := _problem(folder / SUMS, manifest["checksums"], {}):
        return Verified(folder, manifest, 0, {SUMS: problem})
    sums, problems = read_sums(folder), {}
    for number, (name, digest) in enumerate(sums.items(), 1):
        if problem := _problem(folder / name, digest, known):
            problems[name] = problem
        told("Verified", number)
    return Verified(folder, manifest, len(sums), problems)


def _problem(path: Path, digest: str, known: dict[tuple[int, int], str]) -> str:
    try:
        found = path.stat()
        inode = (found.st_dev, found.st_ino)
        if inode not in known:
            known[inode] = sha256_of(path)
    except FileNotFoundError:
        return MISSING
    except OSError as error:
        if error.errno not in UNREADABLE:
            raise
        return f"it cannot be read ({error.strerror})"
    return "" if known[inode] == digest else "it is damaged"
