"""What a backup looks like on the disk: one folder of it, or a folder of generations.

A backup is whole when it has a manifest. A generation is made under another name and gets its own
when it is whole, so a crash leaves the older ones as they were.
"""

import json
import re
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from audiosearch.engine.digests import sha256_of

MANIFEST = "manifest.json"
SUMS = "SHA256SUMS"
"""A line for every file, as `sha256sum --check` reads it; the manifest has its own digest."""
MARK = ".audiosearch-backup"
DATABASE, FILES, TRAINED = "database", "files", "encoders"
UNFINISHED, GOING = "unfinished", "going"
STAMP = "%Y-%m-%dT%H-%M-%SZ"
STAMPED = re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ")


class NoBackup(Exception):
    """There is no whole backup in a folder."""


def is_whole(folder: Path) -> bool:
    return (folder / MANIFEST).is_file()


def generations(folder: Path) -> list[Path]:
    """The whole generations in a folder, the oldest first."""
    return [path for path in _stamped(folder) if is_whole(path)]


def whole_backups(folder: Path) -> list[Path]:
    """The backup that a folder is, or those in it, the oldest first; raises NoBackup for none."""
    found = [folder] if is_whole(folder) else generations(folder)
    if not found:
        raise NoBackup(f"{folder} holds no whole backup: there is no {MANIFEST} in it.")
    return found


def next_name(folder: Path) -> str:
    """The name of a new generation: when it is made, but after all others whatever the clock."""
    now = datetime.now(UTC)
    for path in _stamped(folder):
        made = datetime.strptime(path.name, STAMP).replace(tzinfo=UTC)
        now = max(now, made + timedelta(seconds=1))
    return now.strftime(STAMP)


def drop_older(folder: Path, keep: int) -> None:
    """Remove all but the newest `keep` generations, and what a removal broke off left."""
    for path in generations(folder)[:-keep]:
        path.rename(folder / f"{GOING}-{path.name}")
    for path in folder.glob(f"{GOING}-*"):
        shutil.rmtree(path)


def read_manifest(folder: Path) -> dict[str, Any]:
    """What a whole backup says of itself; raises NoBackup when that is damaged."""
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
    except ValueError as error:
        raise NoBackup(f"{folder / MANIFEST} is damaged; take an older backup.") from error
    return manifest


def write_manifest(folder: Path, made: Mapping[str, Any], sums: Mapping[str, str]) -> None:
    """The last step: from now on the backup is whole."""
    lines = [f"{digest}  {name}\n" for name, digest in sorted(sums.items())]
    _replace(folder / SUMS, "".join(lines))
    told = {**made, "checksums": sha256_of(folder / SUMS)}
    _replace(folder / MANIFEST, json.dumps(told, indent=1))


def read_sums(folder: Path) -> dict[str, str]:
    """The SHA-256 of each file of a backup by its name in it.

    Empty for a backup of a version that kept none.
    """
    try:
        lines = (folder / SUMS).read_text().splitlines()
    except FileNotFoundError:
        return {}
    return {name: digest for digest, _, name in (line.partition("  ") for line in lines)}


def _stamped(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if STAMPED.fullmatch(path.name))


def _replace(path: Path, text: str) -> None:
    draft = path.with_name(f"{path.name}.part")
    draft.write_text(text)
    draft.replace(path)
