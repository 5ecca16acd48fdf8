"""Duplicates as somebody may know of them: pairs of tracks that they see, and clusters of these.

A cluster is what open pairs connect. It is known by the smallest id of its tracks, of those that
the asker may know of; so neither it nor a count tells anything of others.
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


@dataclass(frozen=True)
class Cluster:
    """Tracks that are one recording, or share a stretch of it; the best copy first."""

    tracks: list[Track]
    pairs: list[DuplicatePair]
    best: Proposal

    @property
    def id(self) -> int:
        return min(track.pk for track in self.tracks)

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
    """The cluster that this user knows by this id, or None."""
    chosen = next((ids for ids in cluster_ids(user) if ids[0] == pk), None)
    return clusters_of(user, [chosen])[0] if chosen else None


def clusters_of(user: Any, groups: list[list[int]]) -> list[Cluster]:
    """The clusters of these ids (of `cluster_ids`), in a fixed number of queries."""
    ids = [track_id for group in groups for track_id in group]
    tracks = {track.pk: track for track in listed_tracks(user).filter(pk__in=ids)}
    pairs: dict[int, list[DuplicatePair]] = defaultdict(list)
    of_both = Q(first__in=ids) & Q(second__in=ids)
    group_of = {track_id: group[0] for group in groups for track_id in group}
    for pair in open_pairs(user).filter(of_both):
        pairs[group_of[pair.first_id]].append(pair)
    found = []
    for group in groups:
        paired = {pk for pair in pairs[group[0]] for pk in (pair.first_id, pair.second_id)}
        there = [tracks[pk] for pk in group if pk in tracks and pk in paired]
        if len(there) > 1:  # else one has just gone
            best = propose(there)
            there.sort(key=lambda track: (track.pk != best.track.pk, track.pk))
            found.append(Cluster(there, pairs[group[0]], best))
    return found


def may_decide(user: Any, cluster: Cluster) -> bool:
    """May this user say of all tracks of a cluster what becomes of them?"""
    return all(may_edit(user, track) for track in cluster.tracks)
