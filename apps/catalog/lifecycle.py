"""What follows when tracks are added, changed or removed.

The apps above the catalogue do it; settings.TRACK_FOLLOWERS names a module of each, so that no
service imports upwards. A follower has the three functions below.
"""

from collections.abc import Collection
from functools import lru_cache
from importlib import import_module
from types import ModuleType

from django.conf import settings
from django.db import transaction

from apps.catalog import id_map


def tracks_added(track_ids: Collection[int], *, wake: bool = True) -> None:
    """In the transaction that adds them; `wake` a worker once it is committed."""
    for follower in _followers():
        follower.tracks_added(track_ids, wake=wake)


def tracks_changed(
    track_ids: Collection[int], *, payload: bool = True, at_once: bool = True
) -> None:
    """In the transaction that changed them.

    payload: what searches filter by, so collection, kind or tags, is other by now. at_once: the
    index may follow before the caller goes on, when they are few; else a worker brings it there.
    """
    id_map.forget(track_ids)
    transaction.on_commit(lambda: id_map.forget(track_ids))
    for follower in _followers() if payload else ():
        follower.tracks_changed(track_ids, at_once=at_once)


def tracks_removed(track_ids: Collection[int]) -> None:
    """After the commit that removed them and wrote their Removal rows."""
    id_map.forget(track_ids)
    for follower in _followers():
        follower.tracks_removed(track_ids)


@lru_cache(maxsize=1)
def _followers() -> list[ModuleType]:
    return [import_module(path) for path in settings.TRACK_FOLLOWERS]
