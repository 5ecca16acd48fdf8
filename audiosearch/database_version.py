"""A database that a newer version of audiosearch has changed is left alone, in words."""

from pathlib import Path

from django.db import DatabaseError, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from audiosearch.database_damage import refuse_damaged_database

SHOWN = 3
HINT = (
    "Nothing was changed. Install the newer version again, or restore a backup that this version "
    "made into an empty installation."
)


def unknown_migrations() -> list[str]:
    """Migrations that the database went through and this code does not have, as app.name.

    Empty for a database that does not answer or is not there yet: others tell of that. A release
    that drops an app, or squashed migrations, deletes their rows, or it would refuse itself.
    """
    if connection.vendor == "sqlite" and not Path(connection.settings_dict["NAME"]).exists():
        return []  # looking would make it
    try:
        applied = MigrationRecorder(connection).applied_migrations()
    except DatabaseError:
        return []
    known = MigrationLoader(None).disk_migrations or {}
    return sorted(f"{app}.{name}" for app, name in applied.keys() - known.keys())


def newer_database() -> str:
    """Why this code may not use the database, in a sentence; empty when it may."""
    unknown = unknown_migrations()
    if not unknown:
        return ""
    named = ", ".join(unknown[:SHOWN])
    more = f" and {len(unknown) - SHOWN} more" if len(unknown) > SHOWN else ""
    return (
        f"The database is of a newer version of audiosearch: this one does not know {named}{more}."
    )


def refuse_newer_database() -> None:
    """End the process, with words, when the database is damaged, or of a newer version."""
    refuse_damaged_database()
    try:
        problem = newer_database()
    finally:
        connection.close()  # whoever starts here asks nothing more
    if problem:
        raise SystemExit(f"{problem} {HINT}")
