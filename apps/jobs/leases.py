"""One lease for all work: claim, heartbeat, release, and settle only what is still one's own.

A lost task loses nothing, as the rows are the queue. Work whose worker died is queued again, and
what broke off three times is set aside.
"""

import logging
import os
import socket
from collections.abc import Callable, Collection, Iterable
from datetime import timedelta
from typing import Any, TypeVar

from django.db.models import F, Q, QuerySet
from django.utils import timezone

from apps.jobs.models import Job, State
from audiosearch.engine.errors import AudioError, EngineError

log = logging.getLogger(__name__)
LEASE = timedelta(seconds=90)
"""So long after its last heartbeat a worker on another machine is taken for dead."""
MAX_ATTEMPTS = 3
ALL = 1_000_000
J = TypeVar("J", bound=Job)


def worker_name() -> str:
    """This process, as it signs its leases: host and process id."""
    return f"{socket.gethostname()}:{os.getpid()}"


def process_of(holder: str) -> int | None:
    """The process id in a worker_name of this host; None for one of another."""
    host, _, pid = holder.rpartition(":")
    return int(pid) if host == socket.gethostname() and pid.isdecimal() else None


def process_is_gone(holder: str) -> bool:
    """True when `holder` (a worker_name) is a process of this host that no longer runs."""
    pid = process_of(holder)
    if pid is None:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def claim(kind: type[J], pks: Collection[int]) -> list[int]:
    """Lease those of these rows that are still queued; returns the keys of what was got."""
    queued = kind._default_manager.filter(pk__in=pks, state=State.QUEUED)
    taken = queued.update(
        state=State.RUNNING,
        leased_by=worker_name(),
        heartbeat_at=timezone.now(),
        attempts=F("attempts") + 1,
        reason="",
    )
    if not taken:
        return []
    held = kind._default_manager.filter(pk__in=pks, state=State.RUNNING, leased_by=worker_name())
    return list(held.order_by("pk").values_list("pk", flat=True))


def mine(jobs: Iterable[J]) -> QuerySet[J]:
    """Those of these rows (of one kind) whose lease this process still holds."""
    held = list(jobs)
    if not held:
        raise ValueError("Nothing is held.")
    return type(held[0])._default_manager.filter(
        pk__in=[job.pk for job in held], state=State.RUNNING, leased_by=worker_name()
    )


def heartbeat(jobs: Iterable[J], **told: Any) -> int:
    """Say that the worker lives, and how far it is; returns how many rows are still its own."""
    held = list(jobs)
    return mine(held).update(heartbeat_at=timezone.now(), **told) if held else 0


def settle(job: Job, state: State, reason: str = "", **found: Any) -> bool:
    """End the work on a row; False, and nothing is written, when the lease was lost."""
    return (
        mine([job]).update(
            state=state,
            reason=reason[:500],
            leased_by="",
            finished_at=timezone.now(),
            **({"attempts": 0} if state == State.READY else {}),
            **found,
        )
        == 1
    )


def release(jobs: Iterable[J], reason: str) -> None:
    """Give work back as if it had not been claimed."""
    held = list(jobs)
    if held:
        mine(held).update(
            state=State.QUEUED, reason=reason[:500], leased_by="", attempts=F("attempts") - 1
        )


def requeue_lost(kind: type[J], set_aside: Callable[[J, str], None] = lambda job, why: None) -> int:
    """Queue again what workers hold that are gone; returns how many rows.

    What broke off MAX_ATTEMPTS times fails instead; `set_aside` is told of each.
    """
    running = kind._default_manager.filter(state=State.RUNNING)
    holders = running.order_by().values_list("leased_by", flat=True).distinct()
    gone = [holder for holder in holders if process_is_gone(holder)]
    now = timezone.now()
    # Far ahead is late as well: the clock was set back since, and would let the dead hold on.
    late = Q(heartbeat_at__lt=now - LEASE) | Q(heartbeat_at__gt=now + LEASE)
    return _break_off(running.filter(late | Q(leased_by__in=gone)), set_aside)


def requeue_left(kind: type[J], set_aside: Callable[[J, str], None] = lambda job, why: None) -> int:
    """Queue again what this process left when the database went away under it.

    A process does one thing at a time, so between two of them whatever it still holds was left.
    Others would wait for the end of the lease. Returns how many rows.
    """
    held = kind._default_manager.filter(state=State.RUNNING, leased_by=worker_name())
    return _break_off(held, set_aside)


def _break_off(running: QuerySet[J], set_aside: Callable[[J, str], None]) -> int:
    hopeless = list(running.filter(attempts__gte=MAX_ATTEMPTS))
    reason = f"It broke off {MAX_ATTEMPTS} times and is set aside; ask for it again to retry."
    for job in hopeless:
        same = running.filter(pk=job.pk, leased_by=job.leased_by, heartbeat_at=job.heartbeat_at)
        failed = {"state": State.FAILED, "reason": reason, "finished_at": timezone.now()}
        if same.update(leased_by="", **failed):
            set_aside(job, reason)
    return running.filter(attempts__lt=MAX_ATTEMPTS).update(state=State.QUEUED, leased_by="")


def waiting(kind: type[J], *conditions: Q) -> bool:
    """Whether any work of this kind is queued."""
    return kind._default_manager.filter(*conditions, state=State.QUEUED).exists()


def work_off(kind: type[J], do: Callable[[J], None], most: int = ALL) -> int:
    """Do what is queued of one kind, oldest first, but at most so much; returns how much it was.

    `do` calls `heartbeat` as it goes and `settle` at its end; an AudioError or ValueError that it
    raises fails the job. Any other EngineError (the model or the index is away) releases it, and
    ends the turn.
    """
    requeue_left(kind)
    done = 0
    while done < most and (job := _claim_oldest(kind)):
        try:
            do(job)
        except (AudioError, ValueError) as error:
            settle(job, State.FAILED, str(error))
        except EngineError as error:
            log.warning("%s %s waits: %s", kind.__name__, job.pk, error)
            release([job], str(error))
            return done
        done += 1
    return done


def _claim_oldest(kind: type[J]) -> J | None:
    queued = kind._default_manager.filter(state=State.QUEUED).order_by("queued_at", "pk")
    while (pk := queued.values_list("pk", flat=True).first()) is not None:
        if claim(kind, [pk]):
            return kind._default_manager.get(pk=pk)
    return None
