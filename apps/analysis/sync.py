"""Bringing changed payloads to the vector index, for every kind of space the same way."""

from collections.abc import Collection
from contextlib import suppress
from typing import Any

from django.db.models import QuerySet

from apps.analysis.holdings import HOLDINGS, Holdings, holdings_of, track_spaces
from apps.analysis.models import Space, SpaceState, mark_synced
from apps.analysis.removing import take_out
from apps.analysis.space_indexes import index_of
from apps.jobs.pieces import in_pieces
from audiosearch.engine.errors import SpaceMissing

BYTES = 16 * 2**20
"""Of vectors or landmarks in memory, about, before they are written."""


def sync_changes() -> int:
    """Bring all changed payloads to the index; returns how many rows.

    Those of retired spaces wait until the space is used again. Raises IndexUnavailable; what was
    not brought stays marked.
    """
    spaces = Space.objects.filter(kind__in=HOLDINGS).exclude(state=SpaceState.RETIRED)
    return sum(map(sync_space, spaces))


def sync_tracks(track_ids: Collection[int]) -> int:
    """The same for these tracks only."""
    return sum(sync_space(space, track_id__in=track_ids) for space in track_spaces())


def sync_space(space: Space, **only: Any) -> int:
    """The same for one space (the rows of a lookup only); returns how many rows."""
    holdings = holdings_of(space)
    if holdings is None:
        return 0
    _take_out_retired(space, holdings, only)
    stale = holdings.rows(space).filter(index_stale=True, **only)
    pks = list(stale.values_list("pk", flat=True))
    for piece in in_pieces(pks):
        _sync_rows(space, holdings, stale.filter(pk__in=piece))
    return len(pks)


def _take_out_retired(space: Space, holdings: Holdings, only: dict[str, Any]) -> None:
    retired = holdings.retired(space)
    if retired is None:
        return
    stale = retired.filter(index_stale=True, **only)
    seen = dict(stale.values_list("pk", "payload_version"))
    for piece in in_pieces(seen):
        there = dict(stale.filter(pk__in=piece).values_list("pk", holdings.item))
        with suppress(SpaceMissing):
            index_of(space).delete(there.values())
        mark_synced(holdings.model(space), {pk: seen[pk] for pk in there})


def _sync_rows(space: Space, holdings: Holdings, rows: QuerySet[Any]) -> None:
    # The versions come first: what changes after this is brought by the next sync.
    seen = dict(rows.values_list("pk", "payload_version"))
    found = list(holdings.prefetched(rows.filter(pk__in=seen)))
    try:
        written = _write(space, holdings, found)
    except SpaceMissing:
        return  # a reconciliation rebuilds it with today's payloads
    gone = set(written) - holdings.known(space, written)
    if gone:  # deleted while it was written
        take_out(space, gone)
    mark_synced(holdings.model(space), seen)


def _write(space: Space, holdings: Holdings, rows: list[Any]) -> list[int]:
    """Upsert in pieces of bounded memory; returns the ids of the items written."""
    written, piece, size = list[int](), list[Any](), 0
    for entry in holdings.entries(space, rows):
        piece.append(entry)
        size += entry.nbytes
        if size >= BYTES:
            written += _upsert(space, holdings, piece)
            piece, size = [], 0
    return written + _upsert(space, holdings, piece)


def _upsert(space: Space, holdings: Holdings, entries: list[Any]) -> list[int]:
    if not entries:
        return []
    try:
        index_of(space).upsert(entries)
    except SpaceMissing:
        if holdings.rows(space).filter(index_stale=False).exists():
            raise  # it held more than this: made here, the loss would not be noticed
        index_of(space).create(holdings.layout)
        index_of(space).upsert(entries)
    return [entry.payload.item_id for entry in entries]
