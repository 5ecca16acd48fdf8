"""The verification that runs by itself: a slice of the catalogue a day, a few seconds at a time.

All of it is read once in VERIFY_EVERY_DAYS. Slices of days on which nothing ran are made up for.
"""

import logging
import time
from collections import Counter
from dataclasses import dataclass, field, replace

from django.conf import settings
from django.db.models import F, QuerySet
from django.utils import timezone

from apps.analysis.drift import StorageUnavailable, repair
from apps.analysis.notes import read_note, write_note
from apps.analysis.verifying import verify
from apps.catalog.models import Track
from apps.jobs.locks import exclusive
from audiosearch.engine.errors import IndexUnavailable

log = logging.getLogger(__name__)
LOCK = "verify"
NOTE = "last-verified"


@dataclass(frozen=True)
class Verified:
    """How far the verification is, and what it found.

    day: of the slice that is next, or being read (an ordinal date); after: the last track of it
    that was read. Of the day `begun_on`, which is told of: tracks and their bytes that were read,
    and how much of each kind was damaged. done_at: when a slice ended, in seconds since 1970.
    """

    day: int
    after: int = 0
    begun_on: int = 0
    tracks: int = 0
    bytes: int = 0
    damage: dict[str, int] = field(default_factory=dict)
    done_at: float = 0.0


def verify_for_a_while(seconds: float) -> bool:
    """Go on with the slices that are due, and repair; whether more is left to read.

    False, too, while another process is at it, or the index or the storage is away.
    """
    with exclusive(LOCK) as alone:
        if not alone:
            return False
        try:
            return _go_on(time.monotonic() + seconds)
        except (IndexUnavailable, StorageUnavailable) as error:
            log.warning("the verification waits: %s", error)
            return False


def _go_on(ends: float) -> bool:
    today, period = timezone.localdate().toordinal(), settings.VERIFY_EVERY_DAYS
    now = last_verified() or Verified(day=today)
    if not today - period < now.day <= today + 1:  # off for long, or the clock was wrong
        now = replace(now, day=max(today - period + 1, min(now.day, today)), after=0)
    if now.day <= today and now.begun_on != today:
        now = Verified(day=now.day, after=now.after, begun_on=today, done_at=now.done_at)
    while now.day <= today:
        left = slice_of(now.day, period).filter(pk__gt=now.after).order_by("pk")
        for pk in list(left.values_list("pk", flat=True)):
            now = _read(pk, now)
            if time.monotonic() > ends:
                write_note(NOTE, now)
                return True
        now = replace(now, day=now.day + 1, after=0, done_at=time.time())
        log.info("verified today: %d tracks, %d MB", now.tracks, now.bytes // 2**20)
        write_note(NOTE, now)
    return False


def slice_of(day: int, period: int) -> QuerySet[Track]:
    """The tracks that are read on a day: each on one of `period` days that follow each other."""
    return Track.objects.annotate(on_day=F("pk") % period).filter(on_day=day % period)


def _read(pk: int, now: Verified) -> Verified:
    read = list[Track]()
    drifts = list(verify(Track.objects.filter(pk=pk), read.append))
    for drift in drifts:
        log.warning("%s: %s", drift.kind, drift.message)
    if drifts:
        repair(drifts)
    damage = Counter(now.damage)
    damage.update(drift.kind for drift in drifts)
    size = sum(track.size_bytes for track in read)
    now = replace(now, tracks=now.tracks + len(read), bytes=now.bytes + size)
    return replace(now, after=pk, damage=dict(damage))


def last_verified() -> Verified | None:
    """How far it is; None before the first slice."""
    return read_note(NOTE, Verified)
