"""Celery tasks of the voices."""

import logging

from audiosearch.celery import app

log = logging.getLogger(__name__)


@app.task(name="voices.mend")
def mend() -> None:
    """Let the index know what it does not know yet of the enrolments, and forget strays."""
    from apps.voices.voice_index import drop_strays, sync_enrolments
    from audiosearch.engine.errors import IndexUnavailable

    try:
        sync_enrolments()
        drop_strays()
    except IndexUnavailable as error:
        log.warning("mending voices waits for the index: %s", error)
