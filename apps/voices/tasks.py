"""Celery tasks of the voices: thin, and only nudges; the database knows the work."""

import logging

from kombu.exceptions import OperationalError

from audiosearch.celery import app

log = logging.getLogger(__name__)


@app.task(name="voices.mend")
def mend() -> None:
    """Let the index know what it does not know yet of the enrolments, and forget strays."""
    from apps.voices.diarizing import requeue_abandoned
    from apps.voices.voice_index import drop_strays, sync_enrolments
    from audiosearch.engine.errors import IndexUnavailable

    if requeue_abandoned():
        nudge()
    try:
        sync_enrolments()
        drop_strays()
    except IndexUnavailable as error:
        log.warning("mending voices waits for the index: %s", error)


@app.task(name="voices.diarize")
def diarize() -> None:
    """Find out who speaks when in the tracks that wait for it."""
    from apps.voices.diarizing import work_off

    work_off()


def nudge() -> None:
    """Tell a worker that there is work; when the queue is away, the next mend does."""
    try:
        diarize.delay()
    except (OperationalError, OSError) as error:
        log.warning("the queue does not answer (%s); the work waits in the database", error)
