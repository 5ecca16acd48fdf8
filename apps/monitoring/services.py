"""Scans: asked for, worked off by a worker under a lease, and forgotten with their files."""

import os
import re
import time
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.files import File
from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from apps.catalog.names import shown_name
from apps.jobs.leases import ALL, heartbeat, requeue_lost, settle, waiting, work_off
from apps.jobs.models import PENDING, State
from apps.jobs.queue import SCANS, enqueue
from apps.monitoring.models import Scan
from apps.monitoring.play_logs import kept_plays
from apps.monitoring.scanning import inspect_recording, scan_file, settings_of
from apps.search.results import SearchSettings
from audiosearch.engine.audio.choice import with_stream
from audiosearch.engine.errors import AudioError, Busy
from audiosearch.web.request_ids import current_request_id

FOLDER = "scans"
BEAT_S = 2.0
YOUNG = timedelta(hours=1)
TOO_MANY = "{} recordings of yours are waiting to be scanned; wait for one, or cancel one."


def scans_of(user: Any) -> QuerySet[Scan]:
    """The scans that a user asked for, newest first; nobody sees those of others."""
    if not user.is_authenticated:
        return Scan.objects.none()
    return Scan.objects.filter(user=user)


def refuse_too_many(user: Any, length: int = 0) -> None:
    """Raises Busy when a user has as many recordings waiting as anybody may."""
    most = settings.MAX_SCANS_EACH
    if scans_of(user).filter(state__in=PENDING).count() >= most:
        raise Busy(TOO_MANY.format(most))


def request_scan(*, source: Path, name: str, asked: SearchSettings, by: Any) -> Scan:
    """Let a worker scan the recording at `source`, known to its owner as `name`.

    Raises an AudioError saying what is wrong with it, and Busy when too many of `by` wait.
    """
    refuse_too_many(by)
    info = inspect_recording(source)
    pk = uuid.uuid4()
    suffix = Path(name).suffix.lower()
    target = f"{FOLDER}/{pk}{suffix if re.fullmatch(r'[.][a-z0-9]{1,5}', suffix) else ''}"
    with source.open("rb") as file:
        stored = default_storage.save(target, File(file))
    with default_storage.open(stored) as kept:
        os.fsync(kept.fileno())  # the database will say that it is there, power cut or not
    with transaction.atomic():
        scan = Scan.objects.create(
            pk=pk,
            user=by,
            file=stored,
            name=shown_name(name),
            stream=info.stream,
            size_bytes=source.stat().st_size,
            duration_ms=info.duration_ms,
            settings=asked.as_json(),
            request_id=current_request_id(),
        )
        transaction.on_commit(lambda: enqueue(SCANS))
    return scan


def scan_queued(most: int = ALL) -> int:
    """Scan what waits for it; returns how many."""
    return work_off(Scan, _work_on, most)


def delete_scan(*, scan: Scan) -> None:
    """Forget a scan with its file; who works on it sees that at its next heartbeat."""
    scan.delete()
    _delete_file(str(scan.file.name))


def reconcile_scans() -> None:
    """Queue again what a worker that died left, and wake one if anything waits."""
    requeue_lost(Scan, lambda scan, why: _delete_file(str(scan.file.name)))
    if waiting(Scan):
        enqueue(SCANS)


def sweep_scans() -> int:
    """Delete scans older than SCANS_KEPT_DAYS, and files that no pending scan knows.

    Files younger than an hour may be about to be known. Returns how many files went.
    """
    if settings.SCANS_KEPT_DAYS:
        old = timezone.now() - timedelta(days=settings.SCANS_KEPT_DAYS)
        Scan.objects.exclude(state__in=PENDING).filter(finished_at__lt=old).delete()
    try:
        names = [f"{FOLDER}/{name}" for name in default_storage.listdir(FOLDER)[1]]
    except FileNotFoundError:
        return 0
    known = set(Scan.objects.filter(state__in=PENDING).values_list("file", flat=True))
    young = timezone.now() - YOUNG
    swept = [
        name
        for name in names
        if name not in known and default_storage.get_modified_time(name) < young
    ]
    for name in swept:
        default_storage.delete(name)
    return len(swept)


def _work_on(scan: Scan) -> None:
    """From the beginning, also where another worker has begun: a scan takes minutes at most."""
    path = with_stream(Path(default_storage.path(str(scan.file.name))), scan.stream)
    asked = settings_of(scan.settings)
    try:
        found = scan_file(path=path, asked=asked, by=scan.user, heard=_Beating(scan))
    except FileNotFoundError:
        _end(scan, State.FAILED, "Its file is gone; send it again.")
    except AudioError as error:
        _end(scan, State.FAILED, str(error))
    else:
        if found:  # else it was cancelled, or is another worker's by now
            length = found.duration_ms
            plays = kept_plays(found)
            _end(scan, State.READY, plays=plays, duration_ms=length, scanned_ms=length)


def _end(scan: Scan, state: State, reason: str = "", **found: Any) -> None:
    if settle(scan, state, reason, file="", **found):
        _delete_file(str(scan.file.name))


class _Beating:
    """Tells the database every few seconds how far a scan is; False when it is not ours."""

    def __init__(self, scan: Scan) -> None:
        self._scan, self._told_at = scan, 0.0

    def __call__(self, scanned_ms: int) -> bool:
        now = time.monotonic()
        if now - self._told_at < BEAT_S:
            return True
        self._told_at = now
        return heartbeat([self._scan], scanned_ms=scanned_ms) == 1


def _delete_file(name: str) -> None:
    if name:
        default_storage.delete(name)
