"""Which of the tracks of a cluster somebody chose, and may decide of."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404

from apps.catalog.models import Track
from apps.catalog.permissions import may_edit
from apps.discovery.clusters import Cluster, find_cluster
from apps.discovery.keeping import undoable
from apps.discovery.models import KeptCopy
from audiosearch.engine.errors import Conflict


@dataclass(frozen=True)
class Choice:
    """The copy to keep, and those that it is to stand for."""

    kept: Track
    others: list[Track]


def cluster_or_404(user: Any, pk: int) -> Cluster:
    found = find_cluster(user, pk)
    if found is None:
        raise Http404
    return found


def chosen_copies(
    user: Any, cluster: Cluster, kept_id: int, other_ids: Collection[int] | None
) -> Choice:
    """None: all that are whole in the kept one.

    Raises Http404, PermissionDenied, and Conflict for one of which something would be lost.
    """
    tracks = {track.pk: track for track in cluster.tracks}
    if not {kept_id, *(other_ids or ())} <= set(tracks):
        raise Http404
    kept = tracks[kept_id]
    whole = cluster.whole_in(kept)
    others = whole if other_ids is None else [tracks[pk] for pk in dict.fromkeys(other_ids)]
    if not all(may_edit(user, track) for track in (kept, *others)):
        raise PermissionDenied
    for track in others:
        if track not in whole:
            raise Conflict(
                f"“{kept.title}” does not hold all of “{track.title}”, so it cannot stand for it."
            )
    return Choice(kept, others)


def chosen_pairs(user: Any, cluster: Cluster, track_ids: Collection[int] | None) -> list[int]:
    """None: all tracks of the cluster. Raises Http404, and PermissionDenied."""
    tracks = {track.pk: track for track in cluster.tracks}
    ids = list(tracks) if track_ids is None else list(track_ids)
    if not set(ids) <= set(tracks):
        raise Http404
    if not all(may_edit(user, tracks[pk]) for pk in ids):
        raise PermissionDenied
    return ids


def undoable_or_404(user: Any, pk: int) -> KeptCopy:
    found = next((kept for kept in undoable(user) if kept.pk == pk), None)
    if found is None:
        raise Http404
    return found
