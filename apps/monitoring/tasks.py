"""Celery tasks of the monitoring: thin, and only wake-ups; the database knows the work."""

from apps.jobs.queue import SCANS, enqueue
from audiosearch.celery import app


@app.task(name=SCANS)
def work() -> None:
    """Scan one recording, and let other tasks have their turn before the next."""
    from apps.monitoring.services import scan_queued

    if scan_queued(most=1):
        enqueue(SCANS)


@app.task(name="monitoring.reconcile")
def reconcile() -> None:
    """Finish what crashes left unfinished."""
    from apps.monitoring.services import reconcile_scans

    reconcile_scans()


@app.task(name="monitoring.sweep")
def sweep() -> None:
    """Forget old scans, and files that no scan knows."""
    from apps.monitoring.services import sweep_scans

    sweep_scans()
