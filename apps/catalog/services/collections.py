"""Collections: made, kept, and whom their tracks are for."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from django.contrib.auth.models import Group
from django.db import IntegrityError, transaction
from django.db.models import F

from apps.access.audit import note
from apps.access.models import AuditAction
from apps.catalog import lifecycle
from apps.catalog.models import Collection
from apps.catalog.selectors import tell_private_collections, visible_collections
from audiosearch.engine.errors import Conflict


@contextmanager
def one_for_each_audience() -> Iterator[None]:
    """A transaction; Conflict when a recording comes to where its bytes are already."""
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        if "sha256" not in str(error):
            raise
        raise Conflict(
            "The same recording is in the catalogue already for those who see that collection; "
            "delete one of the two first."
        ) from error


def get_or_create_collection(name: str, *, by: Any = None) -> Collection:
    """The collection of this name that a user sees, rather one for all; made when there is none."""
    there = visible_collections(by).filter(name=name)
    found = there.order_by(F("audience").asc(nulls_first=True)).first()
    return found or Collection.objects.get_or_create(name=name, audience=None)[0]


def audience_of(collection: Collection | None, *, by: Any = None) -> Group | None:
    """Whom the tracks of a collection are for; it stays so until the end of the transaction.

    Raises Conflict when the collection has just been deleted, or hidden from `by`.
    """
    if collection is None:
        return None
    # Its audience is read by itself: a row that was waited for is read anew, what it joins is not.
    found = Collection.objects.select_for_update().filter(pk=collection.pk).first()
    if found is None or not visible_collections(by).filter(pk=found.pk).exists():
        raise Conflict("That collection has just been deleted; choose another.")
    return found.audience


@one_for_each_audience()
def save_collection(collection: Collection, changed: Iterable[str] = (), *, by: Any = None) -> None:
    """Write a new collection, or the changed fields of one; its tracks are for its audience.

    Raises Conflict when those people see the bytes of one of them already.
    """
    fields = list(changed) if collection.pk else None
    before = Collection.objects.filter(pk=collection.pk).values_list("audience__name", flat=True)
    was, now = before.first(), collection.audience.name if collection.audience else None
    collection.save(update_fields=fields)
    if was != now:
        note(AuditAction.AUDIENCE, by=by, collection=collection.pk, was=was, now=now)
    if fields and "audience" in fields:
        collection.tracks.update(audience=collection.audience)
    track_ids = list(collection.tracks.values_list("pk", flat=True))
    lifecycle.tracks_changed(track_ids, payload=False)
    transaction.on_commit(tell_private_collections)
