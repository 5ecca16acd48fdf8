"""What follows when tracks are added, changed or removed.

The apps above the catalogue do it; settings.TRACK_FOLLOWERS names a module of each, so that no
service imports upwards. A follower has the first three functions below, and `links_moved` where
rows of its own hang on tracks.
"""

from collections.abc import Collection
from functools import lru_cache
from importlib import import_module
from types import ModuleType
from typing import Any

from django.conf import settings
from django.db import transaction

from apps.catalog import id_map

Links = dict[str, list[int]]


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


def move_links(from_id: int, to_id: int, *, by: Any, only: Links | None = None) -> Links:
    """In a transaction: let what hangs on a track hang on another, as far as that has no such yet.

    only: no more than these, which an earlier call moved. Returns what was moved: keys of rows by
    the follower that knows them, as JSON keeps them.
    """
    moved = {}
    for path, follower in zip(settings.TRACK_FOLLOWERS, _followers(), strict=True):
        if hasattr(follower, "links_moved"):
            keys = None if only is None else only.get(path, [])
            moved[path] = follower.links_moved(from_id, to_id, by=by, only=keys)
    return moved


@lru_cache(maxsize=1)
def _followers() -> list[ModuleType]:
    return [import_module(path) for path in settings.TRACK_FOLLOWERS]
