"""What became of the last backup, whoever asked for it: logged, and kept for those who look."""

import logging
import time
from dataclasses import dataclass
from pathlib import Path

from django.db import DatabaseError

from apps.analysis.notes import read_note, write_note
from apps.ops.backups.files import Told
from apps.ops.backups.making import AnotherRuns, CannotBackUp, Made, back_up

log = logging.getLogger(__name__)
NOTE = "last-backup"


@dataclass(frozen=True)
class LastBackup:
    """When the last backup ended (seconds since 1970), where, and what went wrong, in words.

    whole_at: when the last whole one was made; None when there was none. damaged: how many files
    of it were missing or damaged.
    """

    at: float
    folder: str
    problem: str
    whole_at: float | None
    damaged: int


def back_up_and_record(folder: Path, told: Told, keep: int = 0) -> Made:
    """Make a backup and tell what became of it; raises what `back_up` does."""
    try:
        made = back_up(folder, told, keep)
    except AnotherRuns:
        raise
    except (CannotBackUp, OSError, DatabaseError) as error:
        log.error("the backup to %s failed: %s", folder, error)
        last = last_backup()
        whole_at, damaged = (last.whole_at, last.damaged) if last else (None, 0)
        # Of an error of the system no more than its name, as it has paths.
        why = str(error.strerror if isinstance(error, OSError) else error)
        write_note(
            NOTE, LastBackup(time.time(), str(folder), f"It failed: {why}", whole_at, damaged)
        )
        raise
    for name, problem in made.damaged.items():
        log.error("the backup found %s: %s", name, problem)
    count = len(made.damaged)
    problem = f"{count} file{'s' * (count != 1)} missing or damaged" if count else ""
    write_note(NOTE, LastBackup(time.time(), str(made.folder), problem, time.time(), count))
    log.info("the backup %s is whole: %d files", made.folder, made.manifest["files"])
    return made


def last_backup() -> LastBackup | None:
    """What became of the last backup; None before the first."""
    return read_note(NOTE, LastBackup)
