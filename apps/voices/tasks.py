"""Celery tasks of the voices: thin, and only nudges; the database knows the work."""

import logging

from kombu.exceptions import OperationalError

from audiosearch.celery import app

log = logging.getLogger(__name__)


@app.task(name="voices.mend")
def mend() -> None:
    """Let encoder and index know what they do not know yet of the enrolments; forget strays."""
    from apps.jobs.leases import requeue_abandoned
    from apps.voices.enrolment_index import drop_strays, sync_enrolments
    from apps.voices.models import Diarization, Measurement
    from apps.voices.services import hear_anew
    from audiosearch.engine.errors import EngineError

    if any([requeue_abandoned(Diarization), requeue_abandoned(Measurement)]):
        nudge()
    for mend_one in (sync_enrolments, drop_strays, hear_anew, sync_enrolments):
        try:
            mend_one()
        except EngineError as error:
            log.warning("mending voices waits: %s", error)


@app.task(name="voices.work")
def work() -> None:
    """Do one job that somebody asked for, and let other tasks have their turn before the next."""
    from apps.voices import diarizing, measuring

    if diarizing.work_off(most=1) or measuring.work_off(most=1):
        nudge()


def nudge() -> None:
    """Tell a worker that there is work; when the queue is away, the next mend does."""
    try:
        work.delay()
    except (OperationalError, OSError) as error:
        log.warning("the queue does not answer (%s); the work waits in the database", error)
