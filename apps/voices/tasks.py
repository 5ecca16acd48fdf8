"""Celery tasks of the voices: thin, and only wake-ups; the database knows the work."""

import logging

from apps.jobs.queue import VOICES, enqueue
from audiosearch.celery import app

log = logging.getLogger(__name__)


@app.task(name="voices.reconcile")
def reconcile() -> None:
    """Requeue lost work, re-embed for the active encoder, let the index know the enrolments."""
    from apps.jobs.leases import requeue_lost, waiting
    from apps.voices.enrolling import reembed_enrolments
    from apps.voices.holdings import drop_strays, sync_soon
    from apps.voices.models import Diarization, Measurement
    from audiosearch.engine.errors import EngineError

    for kind in (Diarization, Measurement):
        requeue_lost(kind)
    if waiting(Diarization) or waiting(Measurement):
        enqueue(VOICES)
    for step in (drop_strays, reembed_enrolments, sync_soon):
        try:
            step()
        except EngineError as error:
            log.warning("reconciling voices waits: %s", error)


@app.task(name=VOICES)
def work() -> None:
    """Do one job that somebody asked for, and let other tasks have their turn before the next."""
    from apps.voices.diarizing import diarize_queued
    from apps.voices.measuring import measure_queued

    if diarize_queued(most=1) or measure_queued(most=1):
        enqueue(VOICES)
