"""What is said of a track that is a duplicate, to those who may know of the other one."""

from collections import defaultdict
from collections.abc import Collection
from typing import Any

from django.db.models import Q
from django.urls import reverse

from apps.catalog.models import Track
from apps.catalog.notices import Notice
from apps.catalog.templatetags.sound import clock
from apps.discovery.clusters import open_pairs
from apps.discovery.models import DuplicatePair

KIND = "duplicate"
MOST, MOST_OF_ONE = 1000, 5
"""More of them are on the page of duplicates: a jingle may be in thousands of recordings."""


def duplicate_notices(track_ids: Collection[int], user: Any) -> dict[int, list[Notice]]:
    """By track id, the one with most of it first."""
    ids = set(track_ids)
    pairs = open_pairs(user).filter(Q(first__in=ids) | Q(second__in=ids))
    found: dict[int, list[Notice]] = defaultdict(list)
    likeliest = pairs.select_related("first", "second").order_by("-aligned", "pk")[:MOST]
    for pair in likeliest.defer("first__auto_tags", "second__auto_tags"):
        for track, other in ((pair.first, pair.second), (pair.second, pair.first)):
            if track.pk in ids and len(found[track.pk]) < MOST_OF_ONE:
                found[track.pk].append(_notice(pair, track, other))
    return found


def _notice(pair: DuplicatePair, track: Track, other: Track) -> Notice:
    address = reverse("duplicates") + f"?track={track.pk}"
    return Notice(KIND, told(pair, track, other), other.pk, other.title, address)


def told(pair: DuplicatePair, track: Track, other: Track) -> str:
    """What a track is of another, as a sentence."""
    speed = pair.speed if track.pk == pair.first_id else 1 / pair.speed
    played = "" if abs(speed - 1) < 0.003 else f", at {speed:.1%} of its speed".replace("%", " %")
    if pair.is_whole(track) and pair.is_whole(other):
        return f"This is the same recording as “{other.title}”{played}."
    start, end = pair.stretch_in(other.pk)
    if pair.is_whole(track):
        there = f"from {clock(start)} to {clock(end)}"
        return f"This is {_part(end - start, other)} of “{other.title}”, {there}{played}."
    own_start, own_end = pair.stretch_in(track.pk)
    there = f"from {clock(own_start)} to {clock(own_end)}"
    if pair.is_whole(other):
        return f"This holds the recording of “{other.title}”, {there}{played}."
    return f"This shares a stretch with “{other.title}”, {there}{played}."


def _part(milliseconds: int, of: Track) -> str:
    return f"{min(1.0, milliseconds / max(of.duration_ms, 1)):.0%}".replace("%", " %")
