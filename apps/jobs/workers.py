"""Which workers there are: each says every few seconds that it lives; others see who fell silent.

A thread of the worker's own process says it, so that neither work nor searches wait for that.
"""

import logging
from dataclasses import dataclass
from datetime import timedelta
from threading import Event, Thread

from django.db import DatabaseError, connection
from django.utils import timezone

from apps.jobs.leases import process_is_gone, process_of, worker_name
from apps.jobs.models import Worker
from apps.jobs.processes import is_stopped

log = logging.getLogger(__name__)
BEAT_S = 10
SILENT = timedelta(seconds=35)
FORGOTTEN = timedelta(days=1)
"""So long after its last word a worker on another machine is told of; it may never come back."""


@dataclass(frozen=True)
class Crew:
    """How many workers are well, and a sentence for the operator about each that is not."""

    well: int
    problems: tuple[str, ...]

    @property
    def summary(self) -> str:
        """The same for anybody, without names of machines; empty when all is well."""
        count = len(self.problems)
        waits = "" if self.well else "What is added waits for a worker."
        if not count:
            return f"No worker is there. {waits}" if waits else ""
        which = "is" if count == 1 else "are"
        return f"{count} of {self.well + count} workers {which} stopped or silent. {waits}".strip()


def begin_beating() -> Event:
    """Say from now on that this worker lives, until the event that is returned is set."""
    done = Event()
    Thread(target=_beat_until, args=(done,), name="worker lives", daemon=True).start()
    return done


def beat() -> None:
    """Say that this process is a worker and lives."""
    now = timezone.now()
    if not Worker.objects.filter(name=worker_name()).update(seen_at=now):
        Worker.objects.create(name=worker_name(), seen_at=now)


def forget_gone() -> None:
    """Forget the workers that ended without a word, and those silent for too long."""
    Worker.objects.filter(seen_at__lt=timezone.now() - FORGOTTEN).delete()
    names = Worker.objects.values_list("name", flat=True)
    Worker.objects.filter(name__in=[name for name in names if process_is_gone(name)]).delete()


def look_at_workers() -> Crew:
    """Which workers are well and which are not: one query, and a look at those of this host."""
    now = timezone.now()
    well, problems = 0, []
    for worker in Worker.objects.filter(seen_at__gt=now - FORGOTTEN).order_by("name"):
        pid = process_of(worker.name)
        if process_is_gone(worker.name):
            continue
        if pid is not None and is_stopped(pid):
            problems.append(
                f"The worker {worker.name} is stopped (SIGSTOP); kill -CONT continues it, or the "
                "child of it that is stopped."
            )
        elif abs(now - worker.seen_at) > SILENT:
            problems.append(
                f"The worker {worker.name} was last heard of at {worker.seen_at:%Y-%m-%d %H:%M:%S} "
                "UTC: it is stopped or hangs, or its machine is away."
            )
        else:
            well += 1
    return Crew(well, tuple(problems))


def _beat_until(done: Event) -> None:
    """In a thread; the connection is closed after each beat, as the worker forks meanwhile."""
    try:
        forget_gone()
    except DatabaseError as error:
        log.warning("workers that ended are not forgotten: %s", error)
    while True:
        try:
            beat()
        except DatabaseError as error:
            log.info("nobody is told that this worker lives: %s", error)
        finally:
            connection.close()
        if done.wait(BEAT_S):
            break
    try:
        Worker.objects.filter(name=worker_name()).delete()
    except DatabaseError as error:
        log.info("nobody is told that this worker ended: %s", error)
    finally:
        connection.close()
