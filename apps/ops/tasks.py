"""Celery tasks of the operations."""

import logging
import subprocess
import sys
import threading

from django.conf import settings

from audiosearch.celery import app

log = logging.getLogger(__name__)


@app.task(name="ops.backup")
def backup() -> None:
    """Begin the backup that the settings ask for, in a process of its own.

    It takes hours where there is much to copy, and other tasks need the worker meanwhile. It ends
    with the worker; the next one goes on where it stopped.
    """
    command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "backup"]
    command += [str(settings.BACKUP_TO), "--keep", str(settings.BACKUP_KEEP)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    threading.Thread(target=_wait, args=(process,), name="backup", daemon=True).start()


def _wait(process: subprocess.Popen[bytes]) -> None:
    if code := process.wait():
        log.error("the backup ended with code %d; what it said is above", code)
