"""A copy of all that cannot be made anew: database, recordings, vectors, encoders trained here.

The index is left out, as it is built from the vectors. Rows are kept as JSON lines, so a backup of
SQLite restores into PostgreSQL and the other way round.
"""

import gzip
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core import serializers
from django.core.management.color import no_style
from django.core.serializers import sort_dependencies
from django.db import connection, models, transaction
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from apps.catalog.models import Track

MANIFEST = "manifest.json"
DATABASE, FILES, TRAINED = "database", "files", "encoders"
LEFT_OUT = ("contenttypes.ContentType", "auth.Permission", "sessions.Session")
AT_ONCE = 500
TO_INDEX = {"index_stale": True, "indexed": False}
"""Fields that say whether the index knows a row; after a restore it knows none."""

Told = Callable[[str, int], None]
"""Called with what is being copied, and how much of it is done."""


class CannotRestore(Exception):
    """Why a backup does not go in here, and what to do about it."""


def back_up(folder: Path, told: Told) -> dict[str, Any]:
    """Copy everything into a folder while the service runs; returns the manifest.

    The database is copied as it is at one moment, then the files, which never change. A backup in
    the folder is brought up to date: what it has already is not copied again. Only a folder with a
    manifest holds a whole backup.
    """
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    (folder / MANIFEST).unlink(missing_ok=True)
    rows = _write_database(folder / DATABASE, told)
    files = _copy_tree(Path(settings.MEDIA_ROOT), folder / FILES, told)
    for path in Path(settings.MODELS_DIR).glob("*/encoder.json"):
        _copy_tree(path.parent, folder / TRAINED / path.parent.name, told, "*.*")
    manifest = {
        "made_at": timezone.now().isoformat(),
        "migrations": _migrations(),
        "rows": rows,
        "files": files,
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1))
    return manifest


def restore(folder: Path, told: Told) -> dict[str, Any]:
    """Put a backup into an installation whose catalogue is empty; returns the manifest.

    Its users are replaced. Workers then bring the index up to date from the vectors.
    Raises CannotRestore before anything is changed.
    """
    if not (folder / MANIFEST).exists():
        raise CannotRestore(f"{folder} holds no whole backup: there is no {MANIFEST} in it.")
    manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
    if manifest["migrations"] != _migrations():
        raise CannotRestore(
            "The backup was made by another version of audiosearch; restore it with that version, "
            "then upgrade."
        )
    if count := Track.objects.count():
        raise CannotRestore(
            f"There are {count} recordings here; a backup is restored into an empty installation."
        )
    _copy_tree(folder / FILES, Path(settings.MEDIA_ROOT), told)
    if (folder / TRAINED).exists():
        _copy_tree(folder / TRAINED, Path(settings.MODELS_DIR), told)
    _read_database(folder / DATABASE, told)
    return manifest


def _kept_models() -> list[type[models.Model]]:
    """All tables, those that others name first."""
    listed = [(config, None) for config in apps.get_app_configs()]
    return [
        model
        for model in sort_dependencies(listed, allow_cycles=True)
        if model._meta.label not in LEFT_OUT and not model._meta.proxy
    ]


@transaction.atomic
def _write_database(folder: Path, told: Told) -> dict[str, int]:
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    rows = {}
    for model in _kept_models():
        label = model._meta.label
        with gzip.open(folder / f"{label}.jsonl.gz", "wt", encoding="utf-8") as file:
            serializers.serialize(
                "jsonl",
                _all_of(model, told),
                stream=file,
                use_natural_foreign_keys=True,
            )
        rows[label] = model._base_manager.count()
    return rows


def _all_of(model: type[models.Model], told: Told) -> Iterator[models.Model]:
    found = model._base_manager.order_by("pk").iterator(chunk_size=AT_ONCE)
    for number, row in enumerate(found, 1):
        yield row
        told(model.__name__, number)


@transaction.atomic
def _read_database(folder: Path, told: Told) -> None:
    kept = _kept_models()
    with connection.constraint_checks_disabled():
        for model in reversed(kept):
            model._base_manager.all()._raw_delete(connection.alias)
        for model in kept:
            _read_rows(model, folder, told)
    connection.check_constraints()
    with connection.cursor() as cursor:
        for statement in connection.ops.sequence_reset_sql(no_style(), kept):
            cursor.execute(statement)


def _read_rows(model: type[models.Model], folder: Path, told: Told) -> None:
    changes = {
        name: value
        for name, value in TO_INDEX.items()
        if name in {field.name for field in model._meta.get_fields()}
    }
    path = folder / f"{model._meta.label}.jsonl.gz"
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for number, found in enumerate(serializers.deserialize("jsonl", file), 1):
            for name, value in changes.items():
                setattr(found.object, name, value)
            found.save()
            told(model.__name__, number)


def _copy_tree(source: Path, target: Path, told: Told, pattern: str = "**/*") -> int:
    """Copy files that are not there yet, or of another size or time; returns how many there are."""
    count = 0
    for path in source.glob(pattern):
        if not path.is_file() or path.name.endswith(".part"):
            continue
        copy = target / path.relative_to(source)
        try:
            if not _same(path, copy):
                copy.parent.mkdir(parents=True, exist_ok=True)
                draft = copy.with_name(f"{copy.name}.part")
                shutil.copy2(path, draft)
                draft.replace(copy)
        except FileNotFoundError:  # deleted meanwhile
            continue
        count += 1
        told("Files", count)
    return count


def _same(path: Path, copy: Path) -> bool:
    if not copy.exists():
        return False
    one, other = path.stat(), copy.stat()
    return one.st_size == other.st_size and int(one.st_mtime) == int(other.st_mtime)


def _migrations() -> dict[str, str]:
    """The last migration of each app."""
    done = MigrationRecorder(connection).applied_migrations()
    return dict(sorted(done))
