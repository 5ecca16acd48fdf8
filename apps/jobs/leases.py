"""Work that the database knows: claimed by one worker, given back when that one dies.

A lost task loses nothing, and work that breaks off three times is set aside.
"""

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

from django.db.models import F
from django.utils import timezone

from apps.catalog.models import State
from apps.voices.models import Job
from audiosearch.engine.errors import AudioError, EngineError

log = logging.getLogger(__name__)
LEASE = timedelta(seconds=90)
MAX_ATTEMPTS = 3
ALL = 1_000_000
J = TypeVar("J", bound=Job)


def work_off(kind: type[J], do: Callable[[J], None], most: int) -> int:
    """Do what is queued of one kind, oldest first, but at most so much; returns how much it was.

    `do` calls `beat` as it goes and `finish` at its end; what it raises is noted as the reason.
    """
    done = 0
    while done < most and (job := _claim(kind)):
        try:
            do(job)
        except (AudioError, ValueError) as error:
            _mine(job).update(state=State.FAILED, reason=str(error)[:500])
        except EngineError as error:  # the model or the index is away: a later sweep tries again
            log.warning("%s %s waits: %s", kind.__name__, job.pk, error)
            _mine(job).update(reason=str(error)[:500], attempts=F("attempts") - 1)
        done += 1
    return done


def beat(job: Job, **told: Any) -> None:
    """Say that the worker lives, and how far it is."""
    _mine(job).update(heartbeat_at=timezone.now(), **told)


def finish(job: Job, **found: Any) -> bool:
    """Keep what was found; False when nobody wants to know any more."""
    return _mine(job).update(state=State.READY, reason="", **found) == 1


def requeue_abandoned(kind: type[Job]) -> bool:
    """Give back the work of workers that died; is any work of this kind waiting?"""
    jobs = kind._default_manager.all()
    silent = jobs.filter(state=State.LISTENING, heartbeat_at__lt=timezone.now() - LEASE)
    silent.filter(attempts__gte=MAX_ATTEMPTS).update(
        state=State.FAILED, reason=f"It broke off {MAX_ATTEMPTS} times; the worker's log says why."
    )
    silent.update(state=State.QUEUED)
    return jobs.filter(state=State.QUEUED).exists()


def _claim(kind: type[J]) -> J | None:
    queued = kind._default_manager.filter(state=State.QUEUED)
    while job := queued.order_by("asked_at", "pk").first():
        taken = queued.filter(pk=job.pk).update(
            state=State.LISTENING, heartbeat_at=timezone.now(), attempts=F("attempts") + 1
        )
        if taken:
            return job
    return None


def _mine(job: Job) -> Any:
    return type(job)._default_manager.filter(pk=job.pk, state=State.LISTENING)
