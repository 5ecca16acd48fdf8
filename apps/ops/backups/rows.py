"""The database as JSON lines, so that a backup of SQLite restores into PostgreSQL and back."""

import gzip
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.apps import apps
from django.core import serializers
from django.core.management.color import no_style
from django.core.serializers import sort_dependencies
from django.db import connection, models, transaction
from django.db.migrations.recorder import MigrationRecorder

from apps.analysis.holdings import HOLDINGS
from apps.analysis.models import Indexed, mark_stale
from apps.ops.backups.files import Told

LEFT_OUT = (
    *("contenttypes.ContentType", "auth.Permission"),  # migrations make them
    *("access.BrowserSession", "sessions.Session", "admin.LogEntry"),
    *("axes.AccessAttempt", "axes.AccessAttemptExpiration", "axes.AccessLog"),
    "axes.AccessFailureLog",
    *("jobs.Lock", "jobs.Worker"),  # of processes here, which no other installation can see end
)
AT_ONCE = 500


def _kept_models() -> list[type[models.Model]]:
    """All tables, those that others name first."""
    listed = [(config, None) for config in apps.get_app_configs()]
    return [
        model
        for model in sort_dependencies(listed, allow_cycles=True)
        if model._meta.label not in LEFT_OUT and not model._meta.proxy
    ]


def write_rows(folder: Path, told: Told) -> dict[str, int]:
    """Write all rows into a new folder; returns how many of each table. To be in one moment."""
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
                # Permissions have other numbers elsewhere; users and all else keep theirs.
                use_natural_foreign_keys=model._meta.app_label == "auth",
            )
        rows[label] = model._base_manager.count()
    return rows


@contextmanager
def one_moment() -> Iterator[None]:
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
def read_rows(folder: Path, told: Told) -> None:
    """Put rows in the place of those that are there; sessions end."""
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


def migrations() -> dict[str, str]:
    """The last migration of each app."""
    done = MigrationRecorder(connection).applied_migrations()
    return dict(sorted(done))
