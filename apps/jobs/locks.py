"""Locks in the database: every process sees them, and nothing evicts them."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from django.db import IntegrityError, transaction
from django.utils import timezone

from apps.jobs.leases import process_is_gone, worker_name
from apps.jobs.models import Lock


@contextmanager
def exclusive(name: str, *, seconds: int) -> Iterator[bool]:
    """Whether this process alone may go on inside; no longer than `seconds`.

    A lock that has expired, or whose holder on this host is gone, is taken over.
    """
    holder = _take(name, timedelta(seconds=seconds))
    try:
        yield bool(holder)
    finally:
        if holder:
            Lock.objects.filter(name=name, holder=holder).delete()


def _take(name: str, lifetime: timedelta) -> str:
    """The name of the holder, this process; empty when another one holds the lock."""
    now = timezone.now()
    ours = {"holder": worker_name(), "expires_at": now + lifetime}
    for found in Lock.objects.filter(name=name):
        if found.expires_at > now and not process_is_gone(found.holder):
            return ""
        taken = Lock.objects.filter(
            name=name, holder=found.holder, expires_at=found.expires_at
        ).update(**ours)
        return ours["holder"] if taken else ""  # type: ignore[return-value]
    try:
        with transaction.atomic():
            Lock.objects.create(name=name, **ours)
    except IntegrityError:
        return ""
    return worker_name()
