"""Collections: made, kept, and whom their tracks are for."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from django.contrib.auth.models import Group
from django.db import IntegrityError, transaction
from django.db.models import Q

from apps.access.audit import note
from apps.access.models import AuditAction
from apps.access.permissions import may_curate
from apps.catalog import lifecycle
from apps.catalog.models import MAX_NAME, Collection
from apps.catalog.selectors import tell_private_collections, visible_collections
from apps.catalog.words import nfc, searched_words, sort_key
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
    """The collection of this name that a user sees, else a new one for all (made by curators).

    A private one comes before one for all, which anybody may have made to divert what is private;
    "Talks (private to crew)" names it in full. Raises Conflict when several private ones have the
    name, or when there is none and `by` may not make one; None is the service, which may.
    """
    there = named_collection(name, by=by)
    if there is not None:
        return there
    if by is not None and not may_curate(by):
        raise Conflict(
            f"There is no collection “{name}” yet; choose one from the list, or ask a curator to "
            "make it."
        )
    name = nfc(name, MAX_NAME)
    made = {"words": searched_words([name]), "sort_key": sort_key(name)}
    return Collection.objects.get_or_create(name=name, audience=None, defaults=made)[0]


def named_collection(name: str, *, by: Any = None) -> Collection | None:
    """The collection that a user means by a name, if there is one. Raises Conflict, as above."""
    name = nfc(name, MAX_NAME)
    alike = list(visible_collections(by).filter(Q(name=name) | Q(audience__isnull=False)))
    in_full = [one for one in alike if str(one) == name and one.audience]
    named = [one for one in alike if one.name == name]
    private = in_full or [one for one in named if one.audience]
    if len(private) > 1:
        names = ", ".join(f"“{one}”" for one in private)
        raise Conflict(f"Several collections have this name; write which one in full: {names}.")
    return next(iter(private or named), None)


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
    fields = [*changed, "words", "sort_key"] if collection.pk else None
    before = Collection.objects.filter(pk=collection.pk).values_list("audience__name", flat=True)
    was, now = before.first(), collection.audience.name if collection.audience else None
    collection.name = nfc(collection.name, MAX_NAME)
    collection.description = nfc(collection.description)
    collection.words = searched_words([collection.name])
    collection.sort_key = sort_key(collection.name)
    collection.save(update_fields=fields)
    if was != now:
        note(AuditAction.AUDIENCE, by=by, collection=collection.pk, was=was, now=now)
    if fields and "audience" in fields:
        collection.tracks.update(audience=collection.audience)
    track_ids = list(collection.tracks.values_list("pk", flat=True))
    lifecycle.tracks_changed(track_ids, payload=False)
    transaction.on_commit(tell_private_collections)
