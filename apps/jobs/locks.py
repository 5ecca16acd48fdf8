"""Locks in the database: every process sees them, and nothing evicts them."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from threading import Event, Thread

from django.db import DatabaseError, IntegrityError, connection, transaction
from django.utils import timezone

from apps.jobs.leases import LEASE, process_is_gone, worker_name
from apps.jobs.models import Lock

log = logging.getLogger(__name__)
RENEW_S = LEASE.total_seconds() / 3


@contextmanager
def exclusive(name: str, *, lease: timedelta = LEASE) -> Iterator[bool]:
    """Whether this process alone may go on inside.

    The lock is renewed by a thread as long as the process lives. One that has expired, or whose
    holder on this host is gone, is taken over.
    """
    alone = _take(name, lease)
    done = Event()
    if alone:
        Thread(target=_renew, args=(name, lease, done), name=f"lock {name}", daemon=True).start()
    try:
        yield alone
    finally:
        done.set()
        if alone:
            Lock.objects.filter(name=name, holder=worker_name()).delete()


def holds(name: str) -> bool:
    """Whether this process still holds a lock: one that was stopped for long may have lost it."""
    return Lock.objects.filter(name=name, holder=worker_name()).exists()


def _take(name: str, lease: timedelta) -> bool:
    now = timezone.now()
    holder, expires_at = worker_name(), now + lease
    found = Lock.objects.filter(name=name).first()
    if found is None:
        try:
            with transaction.atomic():
                Lock.objects.create(name=name, holder=holder, expires_at=expires_at)
        except IntegrityError:
            return False
        return True
    # One that ends later than any that is begun now is of a clock that was set back since.
    runs = now < found.expires_at <= now + max(lease, LEASE) + LEASE
    if runs and not process_is_gone(found.holder):
        return False
    same = Lock.objects.filter(name=name, holder=found.holder, expires_at=found.expires_at)
    return same.update(holder=holder, expires_at=expires_at) == 1


def _renew(name: str, lease: timedelta, done: Event) -> None:
    """In a thread, with a connection of its own."""
    try:
        while not done.wait(RENEW_S):
            held = Lock.objects.filter(name=name, holder=worker_name())
            try:
                held.update(expires_at=timezone.now() + lease)
            except DatabaseError as error:
                log.warning("the lock %s is not renewed: %s", name, error)
    finally:
        connection.close()
