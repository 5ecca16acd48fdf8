"""What the analysis does when the catalogue's tracks come, change and go; see catalog/lifecycle."""

import logging
from collections.abc import Collection

from django.db import transaction

from apps.analysis.holdings import HOLDINGS
from apps.analysis.models import TrackAnalysis, mark_stale
from apps.analysis.queueing import queue_tracks
from apps.analysis.removing import finish_removals
from apps.analysis.sync import sync_tracks
from apps.jobs.pieces import in_pieces
from apps.jobs.queue import SYNC, enqueue
from audiosearch.engine.errors import IndexUnavailable

log = logging.getLogger(__name__)
AT_ONCE = 20
"""Changes of so many tracks reach the index within the request; more are left to a worker."""


def tracks_added(track_ids: Collection[int], *, wake: bool) -> None:
    queue_tracks(track_ids, wake=wake)


def tracks_changed(track_ids: Collection[int], *, at_once: bool) -> None:
    ids = list(track_ids)
    for piece in in_pieces(ids):
        rows = TrackAnalysis.objects.filter(space__kind__in=HOLDINGS)
        mark_stale(rows.filter(track_id__in=piece))
    if ids and at_once and len(ids) <= AT_ONCE:
        transaction.on_commit(lambda: _sync_now(ids))
    elif ids:
        transaction.on_commit(lambda: enqueue(SYNC))


def _sync_now(track_ids: list[int]) -> None:
    try:
        sync_tracks(track_ids)
    except IndexUnavailable as error:
        log.warning("the index is not updated yet, and will be: %s", error)


def tracks_removed(track_ids: Collection[int]) -> None:
    try:
        finish_removals(track_ids)
    except IndexUnavailable as error:
        log.warning("vectors of deleted tracks remain for now: %s", error)
