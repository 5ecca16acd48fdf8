"""Mending: finish what crashes and outages left, and compare database, files and index."""

import logging
import os
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta

from django.core.cache import cache
from django.core.files.storage import default_storage
from django.db.models import Q
from django.utils import timezone

from apps.analysis.claims import break_off, release_left, worker_name
from apps.analysis.spaces import switch_when_complete
from apps.analysis.tasks import nudge
from apps.analysis.vector_index import get_index, index_fields
from apps.analysis.vectors import VectorsMissing, load_vectors, vectors_name
from apps.catalog.models import Listening, Removal, Space, SpaceState, State, Track
from apps.catalog.services.editing import finish_removals, relisten, sync_index
from audiosearch.engine.errors import IndexUnavailable, SpaceMissing
from audiosearch.engine.indexes.base import Entry
from audiosearch.engine.indexes.payloads import TrackPayload

log = logging.getLogger(__name__)
LEASE = timedelta(seconds=90)
YOUNG = timedelta(hours=1)
REBUILD_S = 6 * 3600
"""How long one process at most keeps others from building the same index."""


def mend() -> None:
    """Release the work of dead workers, finish removals and edits, rebuild a lost space."""
    release_left()
    release_dead()
    try:
        finish_removals()
        rebuild_lost_spaces()
        sync_index()
        rebuild_outgrown_spaces()
    except IndexUnavailable as error:
        log.warning("mending waits for the index: %s", error)
    switch_when_complete()
    waiting = Listening.objects.filter(state=State.QUEUED)
    if waiting.exclude(space__state=SpaceState.RETIRED).exists():
        nudge()


def release_dead() -> int:
    """Queue again what workers had claimed that are gone; returns how many.

    What has been claimed three times without an end is set aside as failed.
    """
    claimed = Listening.objects.filter(state=State.LISTENING)
    dead = [
        row.pk
        for row in claimed
        if _process_is_gone(row.claimed_by)
        or (row.heartbeat_at and row.heartbeat_at < timezone.now() - LEASE)
    ]
    return break_off(claimed.filter(pk__in=dead)) if dead else 0


def _process_is_gone(claimed_by: str) -> bool:
    """True when the claim was signed on this host by a process that no longer runs."""
    host, _, pid = claimed_by.rpartition(":")
    if host != socket.gethostname() or not pid.isdecimal():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def rebuild_lost_spaces() -> list[str]:
    """Rebuild the spaces that the index should have and does not; returns their names."""
    there = set(get_index().spaces())
    lost = [
        space
        for space in Space.objects.exclude(name__in=there)
        if space.listenings.filter(state=State.READY).exists()
    ]
    reason = "the index lost it; rebuilding it from the kept vectors"
    return [space.name for space in lost if _rebuild(space, reason)]


def rebuild_outgrown_spaces() -> list[str]:
    """Give the spaces that have grown the index that suits their size; returns their names."""
    reason = "it has grown; building a larger index for it"
    return [
        space.name
        for space in Space.objects.exclude(state=SpaceState.RETIRED)
        if get_index().outgrown(space.name) and _rebuild(space, reason)
    ]


def _rebuild(space: Space, reason: str) -> bool:
    """Build a space anew, unless another process is at it: two would undo each other's work."""
    lock = f"reindex:{space.name}"
    taken = cache.add(lock, worker_name(), REBUILD_S)
    if not taken and _process_is_gone(str(cache.get(lock))):
        cache.set(lock, worker_name(), REBUILD_S)
        taken = True
    if not taken:
        return False
    log.warning("space %s: %s", space, reason)
    try:
        reindex(space)
    finally:
        cache.delete(lock)
    return True


def reindex(space: Space) -> None:
    """Build a space anew from the kept vectors, beside the old one, and switch to it."""
    began = timezone.now()
    get_index().rebuild(space.name, space.dimension, TrackPayload.layout, _kept_windows(space))
    space.listenings.filter(track__updated_at__gte=began).update(index_stale=True)
    sync_index()
    repair([drift for drift in _index_drifts(space) if drift.kind in INDEX_KINDS])


def _kept_windows(space: Space) -> Iterator[Entry]:
    ready = space.listenings.filter(state=State.READY).select_related("track")
    for row in ready.prefetch_related("track__tags").iterator(chunk_size=500):
        try:
            vectors = load_vectors(space.name, row.track_id)
        except VectorsMissing:
            relisten([row.track_id])
            continue
        spans = [(int(start), int(end)) for start, end in vectors.spans]
        yield Entry(index_fields(row.track), vectors.embeddings, spans)


@dataclass(frozen=True)
class Drift:
    """One difference between database, files and index: what it is, and where."""

    kind: str
    message: str
    track_id: int = 0
    space: str = ""
    name: str = ""


INDEX_KINDS = ("missing in index", "unknown to database")


def find_drift() -> list[Drift]:
    """Everything in which database, files and index differ. Raises IndexUnavailable."""
    drifts = [*_file_drifts(), *_vector_drifts()]
    for space in Space.objects.all():
        drifts.extend(_index_drifts(space))
    return drifts


def _file_drifts() -> Iterator[Drift]:
    known = dict(Track.objects.values_list("file", "pk"))
    stored = set(_stored("tracks"))
    for name, track_id in known.items():
        if name not in stored:
            yield Drift("file missing", f"The file of track {track_id} is gone.", track_id)
    pending = set(Removal.objects.values_list("file_name", flat=True))
    for name in stored - set(known) - pending:
        if _is_old(name):
            yield Drift("orphan file", f"{name} belongs to no track.", name=name)


def _vector_drifts() -> Iterator[Drift]:
    expected: dict[str, tuple[int, str]] = {}
    ready = Listening.objects.filter(state=State.READY)
    for track_id, space in ready.values_list("track_id", "space__name"):
        expected[vectors_name(space, track_id)] = (track_id, space)
    stored = set(_stored("vectors"))
    for name, (track_id, space) in expected.items():
        if name not in stored:
            yield Drift(
                "vectors missing", f"Track {track_id} has no vectors kept.", track_id, space, name
            )
    working = {
        vectors_name(space, track_id)
        for track_id, space in Listening.objects.exclude(state=State.READY).values_list(
            "track_id", "space__name"
        )
    }
    for name in stored - set(expected) - working:
        if _is_old(name):
            yield Drift("orphan vectors", f"{name} belongs to no track.", name=name)


def _index_drifts(space: Space) -> Iterator[Drift]:
    try:
        indexed = get_index().window_counts(space.name)
    except SpaceMissing:
        indexed = {}
    ready = dict(space.listenings.filter(state=State.READY).values_list("track_id", "windows"))
    for track_id, windows in ready.items():
        if indexed.get(track_id, 0) != windows:
            message = f"Track {track_id} has {indexed.get(track_id, 0)} of {windows} windows."
            yield Drift("missing in index", message, track_id, space.name)
    unfinished = set(space.listenings.exclude(state=State.READY).values_list("track_id", flat=True))
    for track_id in set(indexed) - set(ready) - unfinished:
        message = f"The index holds windows of track {track_id}, which does not exist."
        yield Drift("unknown to database", message, track_id, space.name)


def repair(drifts: Iterable[Drift]) -> None:
    """Mend these differences: the database and the files are the truth, the index follows."""
    for drift in drifts:
        if drift.kind in ("orphan file", "orphan vectors"):
            default_storage.delete(drift.name)
        elif drift.kind == "vectors missing":
            relisten([drift.track_id])
        elif drift.kind == "unknown to database":
            get_index().delete_items(drift.space, [drift.track_id])
        elif drift.kind == "missing in index":
            rows = Listening.objects.filter(track_id=drift.track_id, space__name=drift.space)
            rows.filter(state=State.READY).update(state=State.QUEUED)
        elif drift.kind == "file missing":
            rows = Listening.objects.filter(~Q(state=State.READY), track_id=drift.track_id)
            rows.update(state=State.FAILED, reason="The file of this track is gone.")
    nudge()


def _stored(folder: str) -> Iterator[str]:
    """Names of all files below a folder of the storage."""
    try:
        folders, files = default_storage.listdir(folder)
    except FileNotFoundError:
        return
    for name in files:
        yield f"{folder}/{name}"
    for name in folders:
        yield from _stored(f"{folder}/{name}")


def _is_old(name: str) -> bool:
    """True for a file older than an hour: younger ones may be about to be claimed by a row."""
    try:
        return default_storage.get_modified_time(name) < timezone.now() - YOUNG
    except FileNotFoundError:
        return False
