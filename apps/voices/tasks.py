"""Celery tasks of the voices: thin, and only nudges; the database knows the work."""

import logging

from kombu.exceptions import OperationalError

from audiosearch.celery import app

log = logging.getLogger(__name__)


@app.task(name="voices.mend")
def mend() -> None:
    """Let encoder and index know what they do not know yet of the enrolments; forget strays."""
    from apps.voices.jobs import requeue_abandoned
    from apps.voices.models import Diarization, Measurement
    from apps.voices.services import hear_anew
    from apps.voices.voice_index import drop_strays, sync_enrolments
    from audiosearch.engine.errors import EngineError

    if any([requeue_abandoned(Diarization), requeue_abandoned(Measurement)]):
        nudge()
    try:
        hear_anew()
        sync_enrolments()
        drop_strays()
    except EngineError as error:
        log.warning("mending voices waits: %s", error)


@app.task(name="voices.work")
def work() -> None:
    """Find out who speaks when, and how well voices are told apart, where somebody asked."""
    from apps.voices import diarizing, measuring

    diarizing.work_off()
    measuring.work_off()


def nudge() -> None:
    """Tell a worker that there is work; when the queue is away, the next mend does."""
    try:
        work.delay()
    except (OperationalError, OSError) as error:
        log.warning("the queue does not answer (%s); the work waits in the database", error)
