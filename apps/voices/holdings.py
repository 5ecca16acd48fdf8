"""Enrolments in the vector index: one vector each, with speaker, groups and end of consent."""

import logging
from collections.abc import Collection, Iterable, Iterator

import numpy as np
from django.db.models import QuerySet
from django.utils import timezone

from apps.analysis.drift import index_drifts, repair
from apps.analysis.holdings import Holdings
from apps.analysis.index import get_index
from apps.analysis.models import Space, SpaceKind, SpaceState, mark_stale
from apps.analysis.removing import take_out
from apps.analysis.representations import NotKept
from apps.analysis.sync import sync_space
from apps.voices.consent import consent_end
from apps.voices.models import Enrolment, Speaker
from audiosearch.engine.arrays import FloatArray
from audiosearch.engine.digests import Damaged, with_digest, without_digest
from audiosearch.engine.errors import IndexUnavailable, SpaceMissing
from audiosearch.engine.indexes.base import Entry, Match
from audiosearch.engine.indexes.filters import EnrolmentFilter
from audiosearch.engine.indexes.payloads import EnrolmentPayload

log = logging.getLogger(__name__)
EXEMPLARS = 100


OFF = 0.01
"""How far from 1 the length of a unit vector may be."""
LOST = b""
"""In place of a vector that was damaged, until it is embedded again."""


def embedding_of(enrolment: Enrolment) -> FloatArray:
    """(d,) unit vector. Raises NotKept when it is damaged, or LOST."""
    try:
        vector = np.frombuffer(without_digest(bytes(enrolment.embedding)), dtype="<f4")
        if not abs(float(np.linalg.norm(vector)) - 1) < OFF:
            raise Damaged("It is of another length than it should be.")
    except ValueError as error:
        raise NotKept(f"The vector of enrolment {enrolment.pk} is damaged.") from error
    return vector.astype(np.float32)


def known_by(enrolments: Iterable[Enrolment]) -> Iterator[tuple[Enrolment, FloatArray]]:
    """Those of these that a voice can be compared with, each with its vector (d,).

    What is damaged is left out, and embedded again by the next reconciliation of the voices.
    """
    for row in enrolments:
        try:
            yield row, embedding_of(row)
        except NotKept as error:
            same = Enrolment.objects.filter(pk=row.pk, embedding=row.embedding)
            if same.exclude(embedding=LOST).update(embedding=LOST):
                log.warning("%s", error)


class EnrolmentHoldings(Holdings):
    """The vectors that speakers are known by; they are kept in the database."""

    layout = EnrolmentPayload.layout
    item = "pk"

    def rows(self, space: Space) -> QuerySet[Enrolment]:
        return space.enrolments.all()

    def prefetched(self, rows: QuerySet[Enrolment]) -> QuerySet[Enrolment]:
        return rows.select_related("speaker", "track")

    def entries(self, space: Space, rows: Iterable[Enrolment]) -> Iterator[Entry]:
        for row, embedding in known_by(rows):
            payload = EnrolmentPayload(
                enrolment_id=row.pk,
                speaker_id=row.speaker_id,
                groups=tuple(row.speaker.groups),
                consent_until=consent_end(row.speaker),
                collection_id=row.track.collection_id or 0,
            )
            yield Entry(payload, embedding[None], [(0, row.net_ms)])

    def counts(self, space: Space) -> dict[int, int]:
        known = self.rows(space).exclude(embedding=LOST)
        return dict.fromkeys(known.values_list("pk", flat=True), 1)

    def unsettled(self, space: Space) -> set[int]:
        waiting = self.rows(space).filter(embedding=LOST)
        return set(waiting.values_list("pk", flat=True))

    def damaged(self, space: Space, track_ids: Collection[int]) -> Iterator[int]:
        for row in self.rows(space).filter(track_id__in=track_ids):
            try:
                vector = embedding_of(row).astype("<f4").tobytes()
            except NotKept:
                yield row.pk
                continue
            if len(row.embedding) == len(vector):  # kept by version 0.1
                same = self.rows(space).filter(pk=row.pk, embedding=row.embedding)
                same.update(embedding=with_digest(vector))

    def make_again(self, space: Space, item_ids: Collection[int]) -> None:
        """By the next reconciliation of the voices."""
        self.rows(space).filter(pk__in=item_ids).update(embedding=LOST)

    def only_here(self, space: Space) -> int:
        """Erasing a speaker erases what is enrolled: without a row the recording would stay."""
        others = Enrolment.objects.exclude(space=space).values("track")
        return self.rows(space).exclude(track__in=others).count()


def speaker_spaces() -> QuerySet[Space]:
    """The spaces that voices are enrolled in."""
    return Space.objects.filter(kind=SpaceKind.SPEAKER).exclude(state=SpaceState.RETIRED)


def nearest_enrolments(
    space: str, embedding: FloatArray, group: str, hidden: tuple[int, ...] = ()
) -> list[Match]:
    """The best enrolments of speakers whose consent lasts, best first; `item_id` is its id.

    hidden: collections whose recordings are not compared with.
    """
    where = EnrolmentFilter(
        consent_at=int(timezone.now().timestamp()),
        groups=(group,) if group else (),
        exclude_collection_ids=hidden,
    )
    try:
        return get_index().search(space, embedding[None], EXEMPLARS, where)
    except SpaceMissing:
        return []


def sync_soon() -> None:
    """Bring changed enrolments to the index, unless it is away: then a reconciliation does."""
    try:
        for space in speaker_spaces():
            sync_space(space)
    except IndexUnavailable as error:
        log.warning("enrolments wait for the index: %s", error)


def forget_enrolments(enrolments: Iterable[Enrolment]) -> None:
    """Take them out of the index. Raises IndexUnavailable; then nothing may be deleted yet."""
    by_space: dict[Space, list[int]] = {}
    for row in enrolments:
        by_space.setdefault(row.space, []).append(row.pk)
    for space, ids in by_space.items():
        take_out(space, ids)


def speaker_changed(speaker: Speaker, changed: Collection[str]) -> None:
    """Groups or consent are other ones now: the index is told at once, or soon.

    changed: names of the fields; a name or a note is not in the index.
    """
    if {"groups", "consent_by", "consent_on", "consent_until"} & set(changed):
        mark_stale(speaker.enrolments.all())
        sync_soon()


def drop_strays() -> None:
    """Settle where the index holds other enrolments than the database. Raises IndexUnavailable.

    In retired spaces, too: no vector of a voice outlives its recording.
    """
    for space in Space.objects.filter(kind=SpaceKind.SPEAKER):
        drifts = list(index_drifts(space))
        if drifts:
            repair(drifts)
