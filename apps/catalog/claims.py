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
AHEAD = 64
"""How far into the queue one look goes."""


def worker_name() -> str:
    """This process, as it signs its claims: host and process id."""
    return f"{socket.gethostname()}:{os.getpid()}"


def claim(limit: int = 1, *, long: int = 1, others: bool = False) -> list[Listening]:
    """Take up to `limit` of the oldest queued work, that of the default space first.

    long: how many of them may be longer than LONG_MS. others: something is being listened to
    already. What broke off before is only taken alone, lest it take others down with it.
    """
    queued = Listening.objects.filter(state=State.QUEUED).exclude(space__state=SpaceState.RETIRED)
    if not long:
        queued = queued.filter(track__duration_ms__lte=LONG_MS)
    if others:
        queued = queued.filter(attempts=0)
    ordered = queued.order_by("-space__is_default", "id")
    while True:
        candidates = ordered.values_list("pk", "attempts", "track__duration_ms")[:AHEAD]
        chosen = _choose(candidates, limit, long)
        if not chosen:
            return []
        Listening.objects.filter(pk__in=chosen, state=State.QUEUED).update(
            state=State.LISTENING,
            claimed_by=worker_name(),
            heartbeat_at=timezone.now(),
            attempts=F("attempts") + 1,
            reason="",
        )
        rows = Listening.objects.select_related("track", "space").filter(
            pk__in=chosen, state=State.LISTENING, claimed_by=worker_name()
        )
        if taken := list(rows.order_by("pk")):
            return taken


def _choose(candidates: Iterable[tuple[int, int, int]], limit: int, long: int) -> list[int]:
    chosen: list[int] = []
    for pk, attempts, duration_ms in candidates:
        if attempts:
            if not chosen:
                return [pk]
            continue
        if duration_ms > LONG_MS:
            if not long:
                continue
            long -= 1
        chosen.append(pk)
        if len(chosen) == limit:
            break
    return chosen


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
