"""Celery tasks of the analysis: thin, and only wake-ups; the database knows the work."""

import logging

from apps.jobs.queue import ANALYSE, SYNC, VERIFY, enqueue
from audiosearch.celery import app

log = logging.getLogger(__name__)
TURN_S = 20
VERIFYING_S = 5
"""Short, as whatever else there is to do comes before the rest."""


@app.task(name=ANALYSE)
def work() -> None:
    """Analyse for a while what is queued, then let other tasks have their turn."""
    from apps.analysis.worker import work as analyse

    if analyse(seconds=TURN_S):
        enqueue(ANALYSE)


@app.task(name=SYNC)
def sync() -> None:
    """Bring changed payloads to the index."""
    from apps.analysis.sync import sync_changes
    from audiosearch.engine.errors import IndexUnavailable

    try:
        sync_changes()
    except IndexUnavailable as error:
        log.warning("changes wait for the index: %s", error)


@app.task(name="analysis.reconcile")
def reconcile() -> None:
    """Finish what crashes and outages left unfinished."""
    from apps.analysis.reconcile import reconcile as reconcile_everything

    reconcile_everything()


@app.task(name="analysis.rewrite")
def rewrite() -> None:
    """Write anew the files that hold what was erased."""
    from apps.analysis.rewriting import rewrite_in_background

    rewrite_in_background()


@app.task(name="analysis.check")
def check() -> None:
    """Compare database, files and index, and repair what differs."""
    from apps.analysis.checking import check_and_repair

    check_and_repair()


@app.task(name=VERIFY)
def verify() -> None:
    """Look for damage for a few seconds, and let other tasks have their turn before the next."""
    from apps.analysis.slices import verify_for_a_while

    if verify_for_a_while(VERIFYING_S):
        enqueue(VERIFY)
