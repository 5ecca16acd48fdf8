"""Enrolments in the vector index: one window each, filtered by group and by consent there."""

import logging
from collections.abc import Iterable

import numpy as np
from django.utils import timezone

from apps.analysis.vector_index import get_index
from apps.catalog.models import Speaker
from apps.voices.consent import consent_end
from apps.voices.models import Enrolment
from audiosearch.engine.analyzers.base import FloatArray
from audiosearch.engine.errors import IndexUnavailable, SpaceMissing
from audiosearch.engine.indexes.base import Entry, Match
from audiosearch.engine.indexes.filters import EnrolmentFilter
from audiosearch.engine.indexes.payloads import EnrolmentPayload

log = logging.getLogger(__name__)
BATCH = 500
EXEMPLARS = 100


def embedding_of(enrolment: Enrolment) -> FloatArray:
    """(d,) unit vector."""
    return np.frombuffer(bytes(enrolment.embedding), dtype="<f4").astype(np.float32)


def nearest_enrolments(space: str, embedding: FloatArray, group: str) -> list[Match]:
    """The best enrolments of speakers whose consent lasts, best first; `item_id` is its id."""
    now = int(timezone.now().timestamp())
    where = EnrolmentFilter(consent_at=now, groups=(group,) if group else ())
    try:
        return get_index().search(space, embedding[None], EXEMPLARS, where)
    except SpaceMissing:
        return []


def sync_enrolments() -> int:
    """Write what the index does not know yet; returns how many. A lost space is written anew,
    and so is one of version 0.1.0, where enrolments were kept as tracks."""
    index = get_index()
    there = set(index.spaces())
    for space in set(Enrolment.objects.values_list("space", flat=True)):
        if index.outdated(space, EnrolmentPayload.layout):
            index.drop_space(space)
            there.discard(space)
        if space not in there:
            Enrolment.objects.filter(space=space).update(indexed=False)
    waiting = Enrolment.objects.filter(indexed=False).select_related("speaker").order_by("pk")
    written = 0
    while rows := list(waiting[:BATCH]):
        for space in {row.space for row in rows}:
            mine = [row for row in rows if row.space == space]
            index.create_space(space, len(embedding_of(mine[0])), EnrolmentPayload.layout)
            index.upsert(space, [_entry(row) for row in mine])
            Enrolment.objects.filter(pk__in=[row.pk for row in mine]).update(indexed=True)
        written += len(rows)
    return written


def sync_soon() -> None:
    """The same, unless the index is away: then the next sweep does it."""
    try:
        sync_enrolments()
    except IndexUnavailable as error:
        log.warning("enrolments wait for the index: %s", error)


def forget_enrolments(enrolments: Iterable[Enrolment]) -> None:
    """Take them out of the index. Raises IndexUnavailable; then nothing may be deleted yet."""
    by_space: dict[str, list[int]] = {}
    for row in enrolments:
        by_space.setdefault(row.space, []).append(row.pk)
    for space, ids in by_space.items():
        try:
            get_index().delete_items(space, ids)
        except SpaceMissing:
            continue


def speaker_changed(speaker: Speaker) -> None:
    """Groups or consent are other ones now: the index hears of it at once, or soon."""
    speaker.enrolments.update(indexed=False)
    sync_soon()


def drop_strays() -> int:
    """Delete rows of the index whose enrolment is gone; returns how many."""
    dropped = 0
    for space in set(Enrolment.objects.values_list("space", flat=True)):
        try:
            there = set(get_index().window_counts(space))
        except SpaceMissing:
            continue
        strays = there - set(Enrolment.objects.filter(space=space).values_list("pk", flat=True))
        if strays:
            get_index().delete_items(space, sorted(strays))
        dropped += len(strays)
    return dropped


def _entry(enrolment: Enrolment) -> Entry:
    speaker = enrolment.speaker
    payload = EnrolmentPayload(
        enrolment_id=enrolment.pk,
        speaker_id=speaker.pk,
        groups=tuple(speaker.groups),
        consent_until=consent_end(speaker),
    )
    return Entry(payload, embedding_of(enrolment)[None], [(0, enrolment.net_ms)])
