"""Waking workers: tasks are enqueued by name, so that services never import them."""

import logging

from kombu.exceptions import OperationalError

from audiosearch.celery import app

log = logging.getLogger(__name__)
ANALYSE = "analysis.work"
SYNC = "analysis.sync"
VOICES = "voices.work"
VERIFY = "analysis.verify"
SCANS = "monitoring.work"
DUPLICATES = "discovery.duplicates"
"""What workers are woken for: to analyse, to bring changes to the index, to work on voices, to look
for damage, to scan long recordings, to find duplicates."""


def enqueue(task: str) -> None:
    """Tell a worker that there is work; when the queue is away, the next reconciliation does."""
    try:
        app.send_task(task)
    except (OperationalError, OSError) as error:
        log.warning("the queue does not answer (%s); the work waits in the database", error)
