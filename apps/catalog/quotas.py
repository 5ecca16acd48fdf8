"""How much is taken in: recordings and their bytes, of each user and in all.

What is kept is counted whenever it matters, by an index that holds nothing else: no count can go
wrong, and what is deleted gives its room back at once. Representations and copies do not count.
"""

from dataclasses import dataclass, replace
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models import Count, QuerySet, Sum

from apps.catalog.models import Track
from audiosearch.engine.errors import OverQuota

TURN = 0x61756469  # any number of our own
STEP_BYTES = 64 * 2**20
"""Before an upload, members learn of the bytes of all to this step only: what others have added of
late is not theirs to measure."""


@dataclass(frozen=True)
class Quota:
    """What is used, and how much may be; a limit of 0 is none."""

    tracks: int
    size_bytes: int
    max_tracks: int
    max_bytes: int

    def __str__(self) -> str:
        parts = []
        if self.max_bytes:
            parts.append(f"{_gb(self.size_bytes)} of {_gb(self.max_bytes)} GB")
        if self.max_tracks:
            parts.append(f"{self.tracks:,} of {self.max_tracks:,} recordings")
        return " and ".join(parts)

    @property
    def is_full(self) -> bool:
        """Whether there is no room for the smallest recording."""
        return not self.takes(1)

    def takes(self, size_bytes: int) -> bool:
        """Whether there is room for another recording of this size."""
        if self.max_tracks and self.tracks >= self.max_tracks:
            return False
        return not self.max_bytes or self.size_bytes + size_bytes <= self.max_bytes


def _gb(size_bytes: int) -> str:
    return f"{size_bytes / 2**30:,.2f}".rstrip("0").rstrip(".")


def quota_of(user: Any) -> Quota:
    """What a user has added, and may; who has no account shares one quota with what has no owner.

    Administrators have no limit of their own.
    """
    owner = user if user.is_authenticated else None
    limits = (0, 0) if user.is_superuser else (settings.MAX_TRACKS_EACH, settings.MAX_BYTES_EACH)
    return _quota(Track.objects.filter(added_by=owner), *limits)


def quota_in_all() -> Quota:
    """What the catalogue holds, and may; no member is told of it."""
    return _quota(Track.objects.all(), settings.MAX_TRACKS, settings.MAX_BYTES)


def _quota(tracks: QuerySet[Track], max_tracks: int, max_bytes: int) -> Quota:
    used = tracks.aggregate(tracks=Count("*"), size_bytes=Sum("size_bytes", default=0))
    return Quota(**used, max_tracks=max_tracks, max_bytes=max_bytes)


def has_limits(user: Any) -> bool:
    """Whether any limit binds this user; those in all bind everybody."""
    return _is_limited_in_all() or _is_limited_alone(user)


def _is_limited_in_all() -> bool:
    return bool(settings.MAX_TRACKS or settings.MAX_BYTES)


def _is_limited_alone(user: Any) -> bool:
    return bool(settings.MAX_TRACKS_EACH or settings.MAX_BYTES_EACH) and not _knows_all(user)


def _knows_all(user: Any) -> bool:
    """An administrator, or None: the service itself."""
    return user is None or bool(user.is_superuser)


def told_quota(user: Any) -> str:
    """A sentence on what this user has used of what there is; empty where there is no limit."""
    if _is_limited_alone(user) and user.is_authenticated:
        return f"You have used {quota_of(user)}."
    if _is_limited_in_all() and _knows_all(user):
        return f"The catalogue holds {quota_in_all()}."
    return ""


def refused_quota(user: Any, size_bytes: int = 1) -> str:
    """Why this user cannot upload a recording of so many bytes, in words; empty if it is taken."""
    try:
        refuse_without_room(user, size_bytes, exact=False)
    except OverQuota as error:
        return str(error)
    return ""


def in_turn(user: Any) -> None:
    """Until the end of the transaction nobody else adds; on SQLite no other writes in any case.

    So what is counted is exact: of two who add at once the second counts what the first added.
    """
    if connection.vendor == "postgresql" and has_limits(user):
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [TURN])


def refuse_upload(user: Any, length: int) -> None:
    """Raise OverQuota when a request of this length brings more than there is room for.

    What of it is no recording is not known yet, so up to MAX_FORM_BYTES of it are let pass.
    """
    refuse_without_room(user, max(1, length - settings.MAX_FORM_BYTES), exact=False)


def refuse_without_room(user: Any, size_bytes: int, *, exact: bool = True) -> None:
    """Raise OverQuota, in words for this user, unless there is room for so many bytes more."""
    another = f"another of {size_bytes / 2**20:,.0f} MB" if size_bytes >= 2**20 else "another"
    if _is_limited_alone(user):
        own = quota_of(user)
        if not own.takes(size_bytes):
            raise OverQuota(_no_room_of_ones_own(user, own, another))
    if _is_limited_in_all():
        whole = quota_in_all()
        if not exact and not _knows_all(user) and not whole.is_full:
            whole = replace(whole, size_bytes=whole.size_bytes // STEP_BYTES * STEP_BYTES)
        if not whole.takes(size_bytes):
            raise OverQuota(_no_room_at_all(user, whole, another))


def _no_room_of_ones_own(user: Any, own: Quota, another: str) -> str:
    if not user.is_authenticated:
        return (
            "There is no more room for recordings of people without an account; log in to add "
            "yours."
        )
    return (
        f"You have used {own}, so there is no room for {another}; delete some of yours that you "
        "no longer need, or ask an administrator for more room."
    )


def _no_room_at_all(user: Any, whole: Quota, another: str) -> str:
    if _knows_all(user):
        return (
            f"The catalogue holds {whole}, so there is no room for {another}; delete what is no "
            "longer needed, or raise the limit (MAX_TRACKS, MAX_GB)."
        )
    return f"This server is full, so it cannot take {another}; ask whoever keeps it for more room."
