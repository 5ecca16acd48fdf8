"""Duplicates as somebody may know of them: pairs of tracks that they see, and clusters of these.

A cluster is what open pairs connect, of tracks that the asker may know of; so neither it nor a
count tells anything of others. It is known by the smallest id of its tracks. Of a large one, as of
a jingle that thousands of recordings hold, one track and those most like it are shown, and it is
known by that track.
"""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from django.db.models import Q, QuerySet

from apps.catalog.models import Track
from apps.catalog.permissions import may_edit
from apps.catalog.selectors import listed_tracks, seen_by
from apps.discovery.copies import Proposal, propose
from apps.discovery.models import DuplicatePair

MOST = 20
"""So many tracks of a cluster are shown."""


@dataclass(frozen=True)
class Cluster:
    """Tracks that are one recording, or share a stretch of it; the best copy first.

    more: so many others are in it that are not shown.
    """

    id: int
    tracks: list[Track]
    pairs: list[DuplicatePair]
    best: Proposal
    more: int

    def whole_in(self, kept: Track) -> list[Track]:
        """The other tracks of which nothing is lost when this one is kept."""
        found = {pair.other_id(kept.pk): pair for pair in self.pairs_of(kept)}
        others = (track for track in self.tracks if track.pk in found)
        return [track for track in others if found[track.pk].is_whole(track)]

    def pairs_of(self, track: Track) -> list[DuplicatePair]:
        return [pair for pair in self.pairs if track.pk in (pair.first_id, pair.second_id)]


def open_pairs(user: Any) -> QuerySet[DuplicatePair]:
    """The pairs that nobody dismissed, of tracks that this user may both know of."""
    both = seen_by(user, "first__") & seen_by(user, "second__")
    return DuplicatePair.objects.filter(both, dismissed_at=None)


def cluster_ids(user: Any) -> list[list[int]]:
    """Ids of the tracks of each cluster, ascending; the cluster with the newest track first."""
    parent: dict[int, int] = {}

    def root(track_id: int) -> int:
        while parent.setdefault(track_id, track_id) != track_id:
            parent[track_id] = parent[parent[track_id]]
            track_id = parent[track_id]
        return track_id

    for first, second in open_pairs(user).values_list("first_id", "second_id"):
        parent[max(root(first), root(second))] = min(root(first), root(second))
    groups: dict[int, list[int]] = defaultdict(list)
    for track_id in sorted(parent):
        groups[root(track_id)].append(track_id)
    return sorted(groups.values(), key=lambda ids: -ids[-1])


def find_cluster(user: Any, pk: int) -> Cluster | None:
    """The cluster of which this user knows a track of this id, or None."""
    groups = [ids for ids in cluster_ids(user) if pk in ids]
    return next(iter(clusters_of(user, groups, around=pk)), None)


def clusters_of(user: Any, groups: list[list[int]], around: int = 0) -> list[Cluster]:
    """The clusters of these ids (of `cluster_ids`); of a large one, what is most like `around`."""
    shown = [_nearest(user, group, around if around in group else group[0]) for group in groups]
    ids = [track_id for chosen in shown for track_id in chosen]
    tracks = {track.pk: track for track in listed_tracks(user).filter(pk__in=ids)}
    pairs: dict[int, list[DuplicatePair]] = defaultdict(list)
    group_of = {track_id: group[0] for group in groups for track_id in group}
    for pair in open_pairs(user).filter(Q(first__in=ids) & Q(second__in=ids)):
        pairs[group_of[pair.first_id]].append(pair)
    found = []
    for group, chosen in zip(groups, shown, strict=True):
        paired = {pk for pair in pairs[group[0]] for pk in (pair.first_id, pair.second_id)}
        there = [tracks[pk] for pk in chosen if pk in tracks and pk in paired]
        if len(there) > 1:  # else one has just gone
            best = propose(there)
            there.sort(key=lambda track: (track.pk != best.track.pk, track.pk))
            more = len(group) - len(chosen)
            found.append(Cluster(chosen[0], there, pairs[group[0]], best, more))
    return found


def _nearest(user: Any, group: list[int], track_id: int) -> list[int]:
    """The whole group, or of a large one this track and those most like it."""
    if len(group) <= MOST:
        return group
    of_it = Q(first=track_id) | Q(second=track_id)
    pairs = open_pairs(user).filter(of_it).order_by("-share", "pk")[: MOST - 1]
    return [track_id, *(pair.other_id(track_id) for pair in pairs)]


def may_decide(user: Any, cluster: Cluster) -> bool:
    """May this user say of all tracks of a cluster what becomes of them?"""
    return all(may_edit(user, track) for track in cluster.tracks)
