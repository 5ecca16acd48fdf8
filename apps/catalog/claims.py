"""Claims: which worker listens to what, so that no work is done twice or lost with a worker."""

import logging
import os
import socket
from collections.abc import Iterable

from django.db.models import F, QuerySet
from django.utils import timezone

from apps.catalog.models import Listening, SpaceState, State

log = logging.getLogger(__name__)
MAX_ATTEMPTS = 3
LONG_MS = 10 * 60_000
"""A longer recording is long: it may not hold up the others."""


def worker_name() -> str:
    """This process, as it signs its claims: host and process id."""
    return f"{socket.gethostname()}:{os.getpid()}"


def claim(*, long: bool = True, others: bool = False) -> Listening | None:
    """Take the oldest queued work of the default space first; None when there is none.

    long: a recording longer than LONG_MS may be taken. others: something is being listened to
    already; then what broke off before stays, to be heard alone, lest it take others down with it.
    """
    queued = Listening.objects.filter(state=State.QUEUED).exclude(space__state=SpaceState.RETIRED)
    if not long:
        queued = queued.filter(track__duration_ms__lte=LONG_MS)
    if others:
        queued = queued.filter(attempts=0)
    while True:
        ids = queued.order_by("-space__is_default", "id").values_list("pk", flat=True)[:16]
        if not ids:
            return None
        for pk in ids:
            taken = Listening.objects.filter(pk=pk, state=State.QUEUED).update(
                state=State.LISTENING,
                claimed_by=worker_name(),
                heartbeat_at=timezone.now(),
                attempts=F("attempts") + 1,
                reason="",
            )
            if taken == 1:
                return Listening.objects.select_related("track", "space").get(pk=pk)


def mine(listenings: Iterable[Listening]) -> QuerySet[Listening]:
    """Those of them that are still this worker's."""
    return Listening.objects.filter(
        pk__in=[listening.pk for listening in listenings],
        state=State.LISTENING,
        claimed_by=worker_name(),
    )


def fail(listening: Listening, reason: str) -> None:
    """Set a recording aside that cannot be heard."""
    log.info("track %s failed: %s", listening.track_id, reason)
    mine([listening]).update(
        state=State.FAILED, reason=reason[:500], claimed_by="", finished_at=timezone.now()
    )


def release(listenings: Iterable[Listening], reason: str) -> None:
    """Give work back as if it had not been taken."""
    mine(listenings).update(
        state=State.QUEUED, reason=reason[:500], claimed_by="", attempts=F("attempts") - 1
    )
