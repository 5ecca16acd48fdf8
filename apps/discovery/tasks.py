"""Celery tasks of the discovery: thin, and only wake-ups; the database knows the work."""

import logging

from apps.jobs.queue import DUPLICATES, enqueue
from audiosearch.celery import app

log = logging.getLogger(__name__)
TURN_S = 5
"""Short, as analysing comes first."""


@app.task(name=DUPLICATES)
def find() -> None:
    """Look for duplicates for a while, and let other tasks have their turn before the rest."""
    from apps.discovery.finding import search_pending
    from audiosearch.engine.errors import Conflict, IndexUnavailable, SpaceMissing

    try:
        if search_pending(seconds=TURN_S):
            enqueue(DUPLICATES)
    except Conflict:
        return  # who is at it goes on until nothing is left
    except (IndexUnavailable, SpaceMissing) as error:
        log.warning("duplicates are looked for later: %s", error)


@app.task(name="discovery.sweep")
def sweep() -> None:
    """Delete for good the copies that were retired for long, and what is known of them."""
    from apps.catalog.services.retiring import delete_retired
    from apps.discovery.keeping import forget_kept

    delete_retired()
    forget_kept()
