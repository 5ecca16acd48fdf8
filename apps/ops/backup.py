"""A copy of all that cannot be made anew: database, recordings, vectors, encoders trained here.

The index is left out, as it is built from the vectors. Rows are kept as JSON lines, so a backup of
SQLite restores into PostgreSQL and the other way round.
"""

import gzip
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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

from apps.analysis.holdings import HOLDINGS
from apps.analysis.models import Indexed, mark_stale
from apps.catalog.id_map import forget
from apps.catalog.models import Track
from apps.catalog.playback import FOLDER as PLAYBACK
from apps.catalog.selectors import tell_private_collections
from audiosearch.database_damage import note_backup

MANIFEST = "manifest.json"
MARK = ".audiosearch-backup"
DATABASE, FILES, TRAINED = "database", "files", "encoders"
LEFT_OUT = (
    *("contenttypes.ContentType", "auth.Permission"),  # migrations make them
    *("access.BrowserSession", "sessions.Session", "admin.LogEntry"),
    *("axes.AccessAttempt", "axes.AccessAttemptExpiration", "axes.AccessLog"),
    "axes.AccessFailureLog",
    "jobs.Lock",  # held by a process of this installation, which no other can see end
)
LEFT_THERE = ("training", "speech", PLAYBACK)
AT_ONCE = 500
Told = Callable[[str, int], None]
"""Called with what is being copied, and how much of it is done."""


class CannotBackUp(Exception):
    """Why no backup goes into a folder."""


class CannotRestore(Exception):
    """Why a backup does not go in here, and what to do about it."""


def back_up(folder: Path, told: Told) -> dict[str, Any]:
    """Copy everything into a folder while the service runs; returns the manifest.

    The database is copied as it is at one moment, then the files, which never change. A backup in
    the folder is brought up to date: what it has already is not copied again, what was deleted
    goes. Until everything new is there, the old backup stays whole; only a folder with a manifest
    holds a whole one. Raises CannotBackUp for a folder that holds something else.
    """
    manifest = folder / MANIFEST
    if folder.exists() and any(folder.iterdir()) and not (folder / MARK).exists():
        raise CannotBackUp(f"{folder} is not empty and no backup; choose another folder.")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    (folder / MARK).touch()
    fresh = folder / f"{DATABASE}.part"
    rows = _write_database(fresh, told)
    trees = {Path(settings.MEDIA_ROOT): folder / FILES}
    for path in Path(settings.MODELS_DIR).glob("*/encoder.json"):
        trees[path.parent] = folder / TRAINED / path.parent.name
    files = sum(_copy_tree(source, target, told) for source, target in trees.items())
    manifest.unlink(missing_ok=True)
    shutil.rmtree(folder / DATABASE, ignore_errors=True)
    fresh.rename(folder / DATABASE)
    _drop_deleted(Path(settings.MEDIA_ROOT), folder / FILES)
    _drop_deleted(Path(settings.MODELS_DIR), folder / TRAINED)
    made = {
        "made_at": timezone.now().isoformat(),
        "migrations": _migrations(),
        "rows": rows,
        "files": files,
    }
    draft = manifest.with_suffix(".part")
    draft.write_text(json.dumps(made, indent=1))
    draft.replace(manifest)
    note_backup(folder)
    return made


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
    forget(Track.objects.values_list("pk", flat=True).iterator())
    tell_private_collections()
    run = Path(settings.DATA_DIR) / "run"
    run.mkdir(exist_ok=True)
    (run / "demo-done").touch()
    (run / "demo-begun").unlink(missing_ok=True)
    (Path(settings.DATA_DIR) / "credentials.json").unlink(missing_ok=True)
    return manifest


def _kept_models() -> list[type[models.Model]]:
    """All tables, those that others name first."""
    listed = [(config, None) for config in apps.get_app_configs()]
    return [
        model
        for model in sort_dependencies(listed, allow_cycles=True)
        if model._meta.label not in LEFT_OUT and not model._meta.proxy
    ]


def _write_database(folder: Path, told: Told) -> dict[str, int]:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    rows = {}
    with _one_moment():
        for model in _kept_models():
            label = model._meta.label
            with gzip.open(folder / f"{label}.jsonl.gz", "wt", encoding="utf-8") as file:
                serializers.serialize(
                    "jsonl",
                    _all_of(model, told),
                    stream=file,
                    # Permissions have other numbers elsewhere; users and all else keep theirs.
                    use_natural_foreign_keys=model._meta.app_label == "auth",
                )
            rows[label] = model._base_manager.count()
    return rows


@contextmanager
def _one_moment() -> Iterator[None]:
    """Read the database as it is now, and keep nobody from writing."""
    connection.ensure_connection()
    mode = getattr(connection, "transaction_mode", None)
    if connection.vendor == "sqlite":
        connection.transaction_mode = None  # type: ignore[attr-defined]
    try:
        with transaction.atomic():
            if connection.vendor == "postgresql":
                with connection.cursor() as cursor:
                    cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            yield
    finally:
        if connection.vendor == "sqlite":
            connection.transaction_mode = mode  # type: ignore[attr-defined]


def _all_of(model: type[models.Model], told: Told) -> Iterator[models.Model]:
    related = [field.name for field in model._meta.many_to_many]
    found = model._base_manager.order_by("pk").prefetch_related(*related)
    for number, row in enumerate(found.iterator(chunk_size=AT_ONCE), 1):
        yield row
        told(model.__name__, number)


@transaction.atomic
def _read_database(folder: Path, told: Told) -> None:
    kept = _kept_models()
    sessions = [apps.get_model(name) for name in ("access.BrowserSession", "sessions.Session")]
    with connection.constraint_checks_disabled():
        for ended in sessions:  # of users who may be others, or nobody, from now on
            ended._base_manager.all()._raw_delete(connection.alias)
        for model in reversed(kept):
            for field in model._meta.many_to_many:
                through: Any = field.remote_field.through
                through._base_manager.all()._raw_delete(connection.alias)
            model._base_manager.all()._raw_delete(connection.alias)
        for model in kept:
            _read_rows(model, folder, told)
        _let_index_know()
    connection.check_constraints()
    with connection.cursor() as cursor:
        for statement in connection.ops.sequence_reset_sql(no_style(), kept):
            cursor.execute(statement)


def _read_rows(model: type[models.Model], folder: Path, told: Told) -> None:
    path = folder / f"{model._meta.label}.jsonl.gz"
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for number, found in enumerate(serializers.deserialize("jsonl", file), 1):
            found.save()
            told(model.__name__, number)


def _let_index_know() -> None:
    """The next reconciliation writes all rows, whatever the index knew where they come from."""
    indexed: list[Any] = [model for model in apps.get_models() if issubclass(model, Indexed)]
    for model in indexed:
        mark_stale(model.objects.filter(space__kind__in=HOLDINGS))


def _files_of(source: Path) -> Iterator[Path]:
    """All but what is being written, what is made anew, and a training that goes on."""
    for path in source.rglob("*"):
        inside = path.relative_to(source).parts
        if path.is_file() and path.suffix != ".part" and inside[0] not in LEFT_THERE:
            yield path


def _drop_deleted(source: Path, target: Path) -> None:
    """What is no longer in the source goes from the copy, too: erased is erased."""
    for path in target.rglob("*"):
        if path.is_file() and not (source / path.relative_to(target)).exists():
            path.unlink()


def _copy_tree(source: Path, target: Path, told: Told) -> int:
    """Copy files that are not there yet, or of another size or time; returns how many there are."""
    count = 0
    for path in _files_of(source):
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
