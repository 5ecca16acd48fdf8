"""Reconciling: finish what crashes and outages left, rebuild what the index lost."""

import logging
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from django.db.models import Q

from apps.analysis.drift import files_back, index_drifts, repair
from apps.analysis.holdings import HOLDINGS, Holdings, holdings_of
from apps.analysis.index_folder import ask_for_new, drop_set_aside
from apps.analysis.leasing import set_aside
from apps.analysis.models import Leftover, Space, SpaceState, TrackAnalysis, mark_synced
from apps.analysis.removing import finish_removals
from apps.analysis.space_indexes import SpaceIndex, index_of
from apps.analysis.spaces import ensure_spaces, switch_when_complete
from apps.analysis.sync import sync_changes, sync_space
from apps.jobs.leases import requeue_left, requeue_lost, waiting
from apps.jobs.locks import exclusive
from apps.jobs.pieces import in_pieces
from apps.jobs.queue import ANALYSE, enqueue
from audiosearch.engine.errors import Conflict, IndexUnavailable, IndexUnreadable, SpaceMissing

log = logging.getLogger(__name__)


def reconcile() -> None:
    """Requeue the work of dead workers, finish removals and edits, rebuild lost spaces."""
    ensure_spaces()
    requeue_left(TrackAnalysis, set_aside)
    requeue_lost(TrackAnalysis, set_aside)
    try:
        for space, _ in _indexed_spaces():
            with suppress(SpaceMissing):
                index_of(space).probe()
        finish_removals()
        rebuild_lost_spaces()
        rebuild_outgrown_spaces()
        sync_changes()
        drop_set_aside()
    except IndexUnreadable as error:
        log.error("%s", error)
        ask_for_new()
    except IndexUnavailable as error:
        log.warning("reconciling waits for the index: %s", error)
    if back := list(files_back()):
        repair(back)
    switch_when_complete()
    if waiting(TrackAnalysis, ~Q(space__state=SpaceState.RETIRED)):
        enqueue(ANALYSE)


def rebuild_lost_spaces() -> list[str]:
    """Rebuild the spaces that the index should have and does not; returns their names."""
    reason = "the index lost it; rebuilding it from what is kept"
    return [
        space.name
        for space, holdings in _indexed_spaces()
        if not index_of(space).exists()
        and holdings.rows(space).filter(index_stale=False).exists()
        and _rebuild(space, reason)
    ]


def rebuild_outgrown_spaces() -> list[str]:
    """Rebuild the spaces that outgrew their index, or whose payload has other fields by now.

    Returns their names.
    """
    reason = "its index no longer suits it; building another"
    return [
        space.name
        for space, holdings in _indexed_spaces()
        if _no_longer_suits(index_of(space), holdings) and _rebuild(space, reason)
    ]


def _no_longer_suits(index: SpaceIndex, holdings: Holdings) -> bool:
    """Whether nothing but a rebuild helps."""
    return index.outdated(holdings.layout) or (index.outgrown() and not index.merge())


def _indexed_spaces() -> Iterator[tuple[Space, Holdings]]:
    for space in Space.objects.filter(kind__in=HOLDINGS).exclude(state=SpaceState.RETIRED):
        holdings = holdings_of(space)
        if holdings is not None:
            yield space, holdings


def _rebuild(space: Space, reason: str) -> bool:
    """Rebuild a space, unless another process is at it."""
    log.warning("space %s: %s", space, reason)
    try:
        reindex(space)
    except Conflict as error:
        log.info("%s", error)
        return False
    return True


def reindex(space: Space) -> None:
    """Build a space anew from what is kept, beside the old one, and switch to it.

    Raises Conflict when another process is at it (two would undo each other's work), and
    IndexUnavailable.
    """
    holdings = holdings_of(space)
    if holdings is None:
        raise Conflict(f"{space.name} is in no index.")
    with exclusive(f"space:{space.name}") as alone:
        if not alone:
            raise Conflict(f"{space.name} is being rebuilt by another process.")
        # These come first: what changes after this is brought once it is built.
        left = list(space.leftovers.values_list("pk", flat=True))
        seen = dict(holdings.rows(space).values_list("pk", "payload_version"))
        entries = _all_entries(space, holdings)
        index_of(space).rebuild(holdings.layout, entries)
        for piece in in_pieces(left):
            Leftover.objects.filter(pk__in=piece).delete()
        mark_synced(holdings.model(space), seen)
        sync_space(space)
        repair(index_drifts(space))


def _all_entries(space: Space, holdings: Holdings) -> Iterator[Any]:
    rows = holdings.prefetched(holdings.rows(space).order_by("pk"))
    yield from holdings.entries(space, rows.iterator(chunk_size=500))
