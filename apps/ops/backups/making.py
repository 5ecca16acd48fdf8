"""A copy of all that cannot be made anew: database, recordings, vectors, encoders trained here.

The index is left out, as it is built from the vectors. Every file that goes in is read again, those
that are shared with an older generation too, and recordings are compared with what they were added
as.
"""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils import timezone

from apps.analysis.holdings import HOLDINGS
from apps.analysis.models import SpaceState, TrackAnalysis
from apps.analysis.representations import kept_name
from apps.catalog.models import Track
from apps.jobs.locks import exclusive, holds
from apps.jobs.models import State
from apps.jobs.pieces import in_pieces
from apps.ops.backups.files import Copying, Told
from apps.ops.backups.folders import (
    DATABASE,
    FILES,
    MANIFEST,
    MARK,
    STAMPED,
    TRAINED,
    UNFINISHED,
    drop_older,
    generations,
    next_name,
    read_manifest,
    write_manifest,
)
from apps.ops.backups.rows import migrations, one_moment, write_rows
from audiosearch.database_damage import note_backup
from audiosearch.engine.digests import sha256_of

LOCK = "backup"


class CannotBackUp(Exception):
    """Why no backup goes into a folder."""


class AnotherRuns(CannotBackUp):
    """Another backup is being made."""


@dataclass(frozen=True)
class Made:
    """A whole backup: the folder that it is, and its manifest."""

    folder: Path
    manifest: dict[str, Any]

    @property
    def damaged(self) -> dict[str, str]:
        """What could not be backed up as it should be, by name, and why."""
        return dict(self.manifest["damaged"])


def back_up(folder: Path, told: Told, keep: int = 0) -> Made:
    """Copy everything into a folder while the service runs.

    The database is copied as it is at one moment, then the files, which never change. Without
    `keep`, a backup in the folder is brought up to date: what it has already is not copied again,
    what was deleted goes. With it, the folder holds so many generations, each a backup of its own
    which shares unchanged files with the one before; older ones go once the new one is whole.
    A recording or representation that is missing or damaged is named in the manifest, with the last
    good copy in its place if there is one. Raises CannotBackUp, and OSError or DatabaseError when
    it breaks off.
    """
    _require_room(folder, keep)
    with exclusive(LOCK) as alone:
        if not alone:
            raise AnotherRuns("Another backup is being made; try again when it is done.")
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        (folder / MARK).touch()
        made = _add_generation(folder, told, keep) if keep else _fill(folder, [], told)
        note_backup(folder)
        if keep:
            drop_older(folder, keep)
    return made


def _require_room(folder: Path, keep: int) -> None:
    """Raise CannotBackUp for a folder that holds something else, or lies in what is copied."""
    for own in (Path(settings.MEDIA_ROOT), Path(settings.MODELS_DIR)):
        if folder.resolve().is_relative_to(own.resolve()):
            raise CannotBackUp(f"{folder} is in a folder that is backed up; choose another.")
    if not folder.exists() or not any(folder.iterdir()):
        return
    if not (folder / MARK).exists():
        raise CannotBackUp(f"{folder} is not empty and no backup; choose another folder.")
    inside = {path.name for path in folder.iterdir()}
    if keep and inside & {MANIFEST, DATABASE, f"{DATABASE}.part"}:
        raise CannotBackUp(
            f"{folder} holds one backup without generations; choose another folder for --keep."
        )
    if not keep and any(STAMPED.fullmatch(name) for name in inside):
        raise CannotBackUp(f"{folder} holds generations; add --keep N, or choose another folder.")


def _add_generation(folder: Path, told: Told, keep: int) -> Made:
    """A new one beside the others; what an earlier run left unfinished is gone on with."""
    draft = folder / f"{UNFINISHED}-{os.getpid()}"
    for left in folder.glob(f"{UNFINISHED}-*"):
        if draft.exists() and left != draft:
            shutil.rmtree(left)
        else:
            left.rename(draft)  # whoever left it, and may go on, finds it no more
    draft.mkdir(exist_ok=True, mode=0o700)
    (draft / MARK).touch()
    made = _fill(draft, generations(folder)[::-1], told)
    os.sync()  # its files are on the disk before its name is
    named = draft.rename(folder / next_name(folder))
    os.sync()  # and it is, before older ones go
    return Made(named, made.manifest)


def _fill(folder: Path, older: list[Path], told: Told) -> Made:
    """Bring a folder up to date; its manifest goes while that would be wrong of it."""
    fresh = folder / f"{DATABASE}.part"
    with one_moment():
        rows = write_rows(fresh, told)
        expected = _recordings()
        wanted = expected.keys() | _representations()
    copying = Copying(folder, older, expected, told)
    copying.add_tree(FILES, Path(settings.MEDIA_ROOT))
    for path in Path(settings.MODELS_DIR).glob("*/encoder.json"):
        copying.add_tree(f"{TRAINED}/{path.parent.name}", path.parent)
    if missing := wanted - copying.sums.keys() - copying.damaged.keys():
        deleted = wanted - _recordings().keys() - _representations()
        copying.add_missing(sorted(missing - deleted))
    files = len(copying.sums)
    for path in fresh.iterdir():
        copying.sums[f"{DATABASE}/{path.name}"] = sha256_of(path)
    if not holds(LOCK):
        raise CannotBackUp("This backup was stopped for so long that another one was begun.")
    (folder / MANIFEST).unlink(missing_ok=True)
    shutil.rmtree(folder / DATABASE, ignore_errors=True)
    fresh.rename(folder / DATABASE)
    copying.drop_others(FILES, TRAINED)
    made = {
        "made_at": timezone.now().isoformat(),
        "migrations": migrations(),
        "rows": rows,
        "files": files,
        "damaged": _described(copying.damaged),
    }
    write_manifest(folder, made, copying.sums)
    return Made(folder, read_manifest(folder))


def _recordings() -> dict[str, str]:
    """Those that have to be there: name in the backup, and the SHA-256."""
    rows = Track.objects.values_list("file", "sha256").iterator()
    return {f"{FILES}/{name}": digest for name, digest in rows}


def _representations() -> set[str]:
    """The names of those that have to be there."""
    rows = TrackAnalysis.objects.filter(state=State.READY, space__kind__in=HOLDINGS)
    found = rows.exclude(space__state=SpaceState.RETIRED).values_list("space__name", "track")
    return {f"{FILES}/{kept_name(space, track)}" for space, track in found.iterator()}


def _described(damaged: dict[str, str]) -> dict[str, str]:
    """The same, with the number of the track that each recording is of."""
    told = dict(damaged)
    for piece in in_pieces([name.removeprefix(f"{FILES}/") for name in damaged]):
        for pk, file in Track.objects.filter(file__in=piece).values_list("pk", "file"):
            name = f"{FILES}/{file}"
            told[name] = f"track {pk}: {damaged[name]}"
    return told
