"""Putting a backup into an empty installation."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings

from apps.catalog.id_map import forget
from apps.catalog.models import Track
from apps.catalog.selectors import tell_private_collections
from apps.ops.backups.files import Told, copy_file, has_digest
from apps.ops.backups.folders import (
    DATABASE,
    FILES,
    TRAINED,
    NoBackup,
    read_manifest,
    read_sums,
    whole_backups,
)
from apps.ops.backups.rows import migrations, read_rows


class CannotRestore(Exception):
    """Why a backup does not go in here, and what to do about it."""


@dataclass(frozen=True)
class Restored:
    """The backup that was put in, its manifest, and which of its files turned out damaged."""

    folder: Path
    manifest: dict[str, Any]
    damaged: list[str]


def restore(folder: Path, told: Told) -> Restored:
    """Put a backup, or the newest whole one of a folder of generations, where no recordings are.

    Its users are replaced. Workers then bring the index up to date from the vectors.
    Raises CannotRestore before anything is changed.
    """
    try:
        chosen = whole_backups(folder)[-1]
        manifest, sums = read_manifest(chosen), read_sums(chosen)
    except NoBackup as error:
        raise CannotRestore(str(error)) from error
    _require_fit(chosen, manifest, sums)
    damaged = _put_back(chosen / FILES, Path(settings.MEDIA_ROOT), sums, told)
    damaged += _put_back(chosen / TRAINED, Path(settings.MODELS_DIR), sums, told)
    read_rows(chosen / DATABASE, told)
    forget(Track.objects.values_list("pk", flat=True).iterator())
    tell_private_collections()
    run = Path(settings.DATA_DIR) / "run"
    run.mkdir(exist_ok=True)
    (run / "demo-done").touch()
    (run / "demo-begun").unlink(missing_ok=True)
    (Path(settings.DATA_DIR) / "credentials.json").unlink(missing_ok=True)
    return Restored(chosen, manifest, damaged)


def _require_fit(folder: Path, manifest: Mapping[str, Any], sums: Mapping[str, str]) -> None:
    if manifest["migrations"] != migrations():
        raise CannotRestore(
            "The backup was made by another version of audiosearch; restore it with that version, "
            "then upgrade."
        )
    if count := Track.objects.count():
        raise CannotRestore(
            f"There are {count} recordings here; a backup is restored into an empty installation."
        )
    for name, digest in sums.items():
        if name.startswith(f"{DATABASE}/") and not has_digest(folder / name, digest):
            raise CannotRestore(f"{folder / name} is damaged; restore an older backup.")


def _put_back(source: Path, target: Path, sums: Mapping[str, str], told: Told) -> list[str]:
    """Copy files that are not there yet; returns those that are not what the backup says."""
    damaged = []
    for number, path in enumerate(sorted(source.rglob("*")), 1):
        if not path.is_file() or path.suffix == ".part":
            continue
        name = str(path.relative_to(source.parent))
        copy, digest = target / path.relative_to(source), sums.get(name)
        if (digest is None or not has_digest(copy, digest)) and copy_file(path, copy) != digest:
            damaged += [name] if digest else []
        told("Files", number)
    damaged += [
        name
        for name in sums
        if name.startswith(f"{source.name}/") and not (source.parent / name).is_file()
    ]
    return damaged
