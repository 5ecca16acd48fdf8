"""Writing files anew, so that what was erased is in none of them any more.

An engine marks a deleted row and goes on: Milvus Lite keeps it in its segments, SQLite in free
pages and in its write-ahead log. Whoever erases leaves a Leftover; here, in the background, a
collection is built from what is kept and replaces the one that held it, and the database is written
out and its log emptied. The longer that takes, the longer it waits, so that erasures close together
share one.
"""

import logging
from datetime import timedelta
from pathlib import Path

from django.db import OperationalError, connection
from django.db.models import QuerySet
from django.utils import timezone

from apps.analysis.holdings import HOLDINGS, holdings_of
from apps.analysis.models import Leftover, Space
from apps.analysis.reconcile import reindex
from apps.analysis.space_indexes import index_of
from apps.jobs.locks import exclusive
from apps.jobs.models import PENDING
from apps.jobs.pieces import in_pieces
from audiosearch.engine.errors import Conflict, IndexUnavailable

log = logging.getLogger(__name__)
LEAST_WAIT = timedelta(seconds=5)
LONGEST_WAIT = timedelta(days=1)
BYTES_PER_S = 1_000_000
"""A rewrite of the database waits a second for each so many."""


def rewrite_due(*, at_once: bool = False) -> list[str]:
    """Write anew what holds something erased, and has waited long enough; returns the names.

    What another process is at, or what is busy, stays marked. Raises IndexUnavailable.
    """
    done = []
    of_database = Leftover.objects.filter(space=None)
    if of_database.exists():  # first, as the index may be away
        wait = timedelta(seconds=_database_bytes() / BYTES_PER_S)
        if (at_once or _is_due(of_database, wait)) and _write_out_database():
            done.append("the database")
    for space in Space.objects.filter(kind__in=HOLDINGS, leftovers__isnull=False).distinct():
        due = at_once or _is_due(space.leftovers.all(), _wait_for(space))
        if due and _rewrite(space):
            done.append(space.name)
    return done


def _is_due(leftovers: QuerySet[Leftover], wait: timedelta) -> bool:
    return leftovers.filter(erased_at__lte=timezone.now() - LEAST_WAIT - wait).exists()


def _wait_for(space: Space) -> timedelta:
    """Longer while recordings are analysed anew, whose vectors the index alone holds till then."""
    if space.analyses.filter(state__in=PENDING, windows__gt=0).exists():
        return LONGEST_WAIT
    holdings = holdings_of(space)
    if holdings is None:
        return timedelta()
    return timedelta(seconds=sum(holdings.counts(space).values()) / holdings.rewritten_per_s)


def _rewrite(space: Space) -> bool:
    index = index_of(space)
    seen = list(space.leftovers.values_list("pk", flat=True))
    if index.exists() and not index.rewrite():
        return _rebuild(space)
    _forget(seen)
    return True


def _rebuild(space: Space) -> bool:
    try:
        reindex(space)
    except Conflict as error:
        log.info("what was erased waits: %s", error)
        return False
    return True


def _forget(leftovers: list[int]) -> None:
    for piece in in_pieces(leftovers):
        Leftover.objects.filter(pk__in=piece).delete()


def _write_out_database() -> bool:
    """Leave no deleted row in SQLite's files; what PostgreSQL needs is in docs/operating.md."""
    seen = list(Leftover.objects.filter(space=None).values_list("pk", flat=True))
    if connection.vendor == "sqlite":
        with exclusive("write out the database") as alone:
            if not alone or not _vacuum():
                return False
    _forget(seen)
    return True


def _vacuum() -> bool:
    """Copy the live rows over the file and cut the log; False while somebody reads or writes."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("VACUUM")  # secure_delete leaves copies behind when pages are balanced
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            busy, _, _ = cursor.fetchone()
    except OperationalError as error:
        log.warning("what was erased stays in the database's files for now: %s", error)
        return False
    return not busy


def _database_bytes() -> int:
    if connection.vendor != "sqlite":
        return 0
    return Path(connection.settings_dict["NAME"]).stat().st_size


def rewrite_in_background() -> None:
    """`rewrite_due`, or later when the index is away."""
    try:
        for name in rewrite_due():
            log.info("%s was written anew, without what was erased", name)
    except IndexUnavailable as error:
        log.warning("what was erased stays in the index's files for now: %s", error)
