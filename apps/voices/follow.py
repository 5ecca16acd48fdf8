"""What the voices do when the catalogue's tracks come, change and go; see catalog/lifecycle."""

from collections.abc import Collection
from typing import Any

from django.db import transaction

from apps.analysis.models import mark_stale
from apps.jobs.pieces import in_pieces
from apps.voices.audit import note
from apps.voices.holdings import sync_soon
from apps.voices.models import Enrolment, VoiceAction


def tracks_added(track_ids: Collection[int], *, wake: bool) -> None:
    """Nobody is enrolled by a track that is new."""


def tracks_changed(track_ids: Collection[int], *, at_once: bool) -> None:
    """The index knows in which collection an enrolled recording is."""
    pieces = in_pieces(list(track_ids))
    if sum(mark_stale(Enrolment.objects.filter(track_id__in=piece)) for piece in pieces):
        transaction.on_commit(sync_soon)


def links_moved(from_id: int, to_id: int, *, by: Any, only: list[int] | None) -> list[int]:
    """Those who are known by a track are known by another copy of it from now on."""
    taken = Enrolment.objects.filter(track_id=to_id).values("space")
    rows = Enrolment.objects.filter(track_id=from_id).exclude(space__in=taken)
    speakers = dict(
        (rows if only is None else rows.filter(pk__in=only)).values_list("pk", "speaker_id")
    )
    moved = Enrolment.objects.filter(pk__in=speakers)
    moved.update(track_id=to_id)
    if mark_stale(moved):
        transaction.on_commit(sync_soon)
    for key, speaker in speakers.items():
        note(VoiceAction.MOVE, by, speaker, enrolment=key, track=to_id)
    return list(speakers)


def tracks_removed(track_ids: Collection[int]) -> None:
    """Vectors without a recording are dropped by the next reconciliation."""
