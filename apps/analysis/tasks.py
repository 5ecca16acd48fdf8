"""Celery tasks: thin, and only nudges; the database knows the work."""

import logging

from kombu.exceptions import OperationalError

from audiosearch.celery import app

log = logging.getLogger(__name__)
TURN_S = 20


@app.task(name="analysis.work")
def listen() -> None:
    """Listen for a while to what is queued, then let other tasks have their turn."""
    from apps.analysis.worker import work

    if work(seconds=TURN_S):
        nudge()


@app.task(name="analysis.reconcile")
def mend() -> None:
    """Finish what crashes and outages left unfinished."""
    from apps.analysis.reconcile import mend as mend_everything

    mend_everything()


@app.task(name="analysis.check")
def check() -> None:
    """Compare database, files and index, and mend what differs."""
    from apps.analysis.checking import check_and_repair

    check_and_repair()


def nudge() -> None:
    """Tell a worker that there is work; when the queue is away, the next mend does."""
    try:
        listen.delay()
    except (OperationalError, OSError) as error:
        log.warning("the queue does not answer (%s); the work waits in the database", error)
