"""Tags: free words, kept trimmed and in lower case."""

import re
from collections.abc import Iterable

from django.db import transaction
from django.utils import timezone

from apps.catalog import lifecycle
from apps.catalog.models import Tag, Track
from apps.catalog.words import nfc, searched_words, sort_key
from apps.jobs.pieces import in_pieces

MAX_TAGS = 64


def clean_tags(tags: Iterable[str]) -> list[str]:
    """Tags as they are kept: trimmed, lower case, each once, at most 64 of up to 100 characters."""
    parts = (part for tag in tags for part in tag.replace("\x00", "").split(","))
    words = (re.sub(r"\s+", " ", nfc(part)).strip().lower()[:100] for part in parts)
    return list(dict.fromkeys(word for word in words if word))[:MAX_TAGS]


def tags_named(names: Iterable[str]) -> list[Tag]:
    """The tags of these names, created where new."""
    wanted = clean_tags(names)
    Tag.objects.bulk_create([_searched(Tag(name=name)) for name in wanted], ignore_conflicts=True)
    return list(Tag.objects.filter(name__in=wanted))


def _searched(tag: Tag) -> Tag:
    """The same with what follows from its name."""
    tag.words, tag.sort_key = searched_words([tag.name]), sort_key(tag.name)
    return tag


def save_new_tag(tag: Tag) -> None:
    """Write a tag that is new."""
    _searched(tag).save(force_insert=True)


@transaction.atomic
def rename_tag(tag: Tag) -> None:
    """Write the new name of a tag; what carries it reaches the index by a worker."""
    _searched(tag).save(update_fields=["name", "words", "sort_key"])
    _touch(list(Track.objects.filter(tags=tag).values_list("pk", flat=True)))


@transaction.atomic
def delete_tags(tags: Iterable[Tag]) -> None:
    """Delete tags; the tracks stay, and the index learns of it by a worker."""
    pks = [tag.pk for tag in tags]
    track_ids = list(Track.objects.filter(tags__in=pks).distinct().values_list("pk", flat=True))
    Tag.objects.filter(pk__in=pks).delete()
    _touch(track_ids)


def _touch(track_ids: list[int]) -> None:
    now = timezone.now()
    for piece in in_pieces(track_ids):
        Track.objects.filter(pk__in=piece).update(updated_at=now)
    lifecycle.tracks_changed(track_ids, at_once=False)
