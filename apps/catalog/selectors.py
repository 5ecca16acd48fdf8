"""Who sees which tracks: those of a private collection are for its group and for curators only."""

from typing import Any

import redis
from django.conf import settings
from django.core.cache import cache
from django.db.models import F, Q, QuerySet

from apps.access.permissions import may_curate
from apps.catalog.models import Collection, Tag, Track

_CACHE_KEY = "private-collections"
_CACHE_S = 5
"""So long a change may stay unknown that could not be told because Redis did not answer."""


def seen_by(user: Any, to_track: str = "") -> Q:
    """The condition that a user may know of a track, or of a collection.

    to_track: the lookup that leads there ("track__"). None is the service itself, which sees all.
    """
    if user is None or may_curate(user):
        return Q()
    for_all = Q(**{f"{to_track}audience": None})
    if not user.is_authenticated:
        return for_all
    return for_all | Q(**{f"{to_track}audience__in": user.groups.values("pk")})


def visible_tracks(user: Any) -> QuerySet[Track]:
    """The tracks that this user may know of."""
    return Track.objects.filter(seen_by(user))


def visible_collections(user: Any) -> QuerySet[Collection]:
    """The collections that this user may know of."""
    return Collection.objects.select_related("audience").filter(seen_by(user))


def visible_tags(user: Any) -> QuerySet[Tag]:
    """The tags of tracks that this user may know of, in order."""
    return Tag.objects.filter(tracks__in=visible_tracks(user)).distinct()


def collection_named(name: str, *, by: Any = None) -> Collection:
    """The collection of this name that a user sees, rather one for all; made when there is none."""
    there = visible_collections(by).filter(name=name)
    found = there.order_by(F("audience").asc(nulls_first=True)).first()
    return found or Collection.objects.get_or_create(name=name, audience=None)[0]


def hidden_collections(user: Any) -> tuple[int, ...]:
    """Ids of the collections whose tracks must not be found for this user.

    Asks the database for nothing but the groups of a member, and that only when there is anything
    private (with Redis; without, for the private collections too).
    """
    if user is None or may_curate(user):
        return ()
    private = _private_collections()
    if not private:
        return ()
    groups = set(user.groups.values_list("pk", flat=True)) if user.is_authenticated else set()
    return tuple(pk for pk, group in private.items() if group not in groups)


def collections_changed() -> None:
    """Tell every process which collections are private now. Call it after the commit."""
    if not settings.REDIS_URL:
        return
    try:
        cache.set(_CACHE_KEY, _from_database(), _CACHE_S)
    except redis.RedisError:
        return  # without Redis the database is asked


def _private_collections() -> dict[int, int]:
    """Collection id to group id. What is read here never replaces what a change has told."""
    if not settings.REDIS_URL:
        return _from_database()
    try:
        known: dict[int, int] | None = cache.get(_CACHE_KEY)
        if known is None:
            known = _from_database()
            cache.add(_CACHE_KEY, known, _CACHE_S)
    except redis.RedisError:
        return _from_database()
    return known


def _from_database() -> dict[int, int]:
    private = Collection.objects.exclude(audience=None).order_by("pk")
    return dict(private.values_list("pk", "audience"))
