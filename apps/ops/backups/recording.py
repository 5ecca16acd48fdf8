"""What became of the last backup, whoever asked for it: logged, and kept for those who look."""

import json
import logging
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError

from apps.ops.backups.files import LAST, Told
from apps.ops.backups.making import AnotherRuns, CannotBackUp, Made, back_up

log = logging.getLogger(__name__)


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
        _keep(LastBackup(time.time(), str(folder), f"It failed: {why}", whole_at, damaged))
        raise
    for name, problem in made.damaged.items():
        log.error("the backup found %s: %s", name, problem)
    count = len(made.damaged)
    problem = f"{count} file{'s' * (count != 1)} missing or damaged" if count else ""
    _keep(LastBackup(time.time(), str(made.folder), problem, time.time(), count))
    log.info("the backup %s is whole: %d files", made.folder, made.manifest["files"])
    return made


def last_backup() -> LastBackup | None:
    """What became of the last backup; None before the first."""
    try:
        return LastBackup(**json.loads(_kept_in().read_text()))
    except FileNotFoundError:
        return None


def _keep(last: LastBackup) -> None:
    draft = _kept_in().with_suffix(".part")
    draft.write_text(json.dumps(asdict(last)))
    draft.replace(_kept_in())


def _kept_in() -> Path:
    """Beside the recordings: that folder all web servers and workers share."""
    return Path(settings.MEDIA_ROOT) / LAST
