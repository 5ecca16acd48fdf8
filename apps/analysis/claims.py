"""Claims: which worker listens to what, so that no work is done twice or lost with a worker."""

import logging
import os
import socket
from collections.abc import Iterable

from django.db.models import F, QuerySet
from django.utils import timezone

from apps.catalog.models import Listening, SpaceState, State

ended = logging.getLogger("audiosearch.listening")
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
    if mine([listening]).update(
        state=State.FAILED, reason=reason[:500], claimed_by="", finished_at=timezone.now()
    ):
        tell_end(listening, State.FAILED, reason)


def tell_end(listening: Listening, state: State, reason: str = "") -> None:
    """Log what became of a claimed track, how long after its claim, and who had asked for it."""
    took = timezone.now() - (listening.heartbeat_at or timezone.now())
    fields = {
        "track": listening.track_id,
        "space": listening.space.name,
        "state": str(state),
        "seconds": round(took.total_seconds(), 2),
        "reason": reason,
    }
    line = "track %(track)s in %(space)s is %(state)s after %(seconds)s s"
    extra = {"request_id": listening.request_id, "fields": fields}
    ended.info(f"{line}: %(reason)s" if reason else line, fields, extra=extra)


def break_off(listenings: QuerySet[Listening]) -> int:
    """Queue again work that ended without an end, and set aside what did so three times.

    Returns how many are queued.
    """
    claimed = listenings.filter(state=State.LISTENING)
    hopeless = claimed.filter(attempts__gte=MAX_ATTEMPTS)
    lost = list(hopeless.select_related("space"))
    reason = (
        f"Listening broke off {MAX_ATTEMPTS} times; the file is set aside. "
        "Press “Listen again” to retry."
    )
    hopeless.update(state=State.FAILED, reason=reason, claimed_by="")
    for row in lost:
        tell_end(row, State.FAILED, reason)
    return claimed.update(state=State.QUEUED, claimed_by="")


def release_left() -> int:
    """Queue again what a turn of this process left when the database went away under it.

    A process takes one turn at a time, so between turns whatever it still holds was left. Others
    would wait for the end of the lease. Returns how many.
    """
    return break_off(Listening.objects.filter(claimed_by=worker_name()))


def release(listenings: Iterable[Listening], reason: str) -> None:
    """Give work back as if it had not been taken."""
    mine(listenings).update(
        state=State.QUEUED, reason=reason[:500], claimed_by="", attempts=F("attempts") - 1
    )
