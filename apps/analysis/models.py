"""Spaces, and how far each track has been analysed for each of them."""

from typing import Any

from django.db import models
from django.db.models import F, Q

from apps.catalog.models import Track
from apps.jobs.models import Job
from apps.jobs.pieces import in_pieces

FILE_GONE = "The file of this track is gone from the storage."
"""Reason of an analysis that failed for it; it is queued again when the file is back."""


class SpaceKind:
    """Kinds that code names; there may be more, see settings.ANALYSES."""

    EMBEDDING = "embedding"
    LANDMARKS = "landmarks"
    MELODY = "melody"
    SPEAKER = "speaker"


class SpaceState(models.TextChoices):
    BUILDING = "building", "Building"
    ACTIVE = "active", "Active"
    RETIRED = "retired", "Retired"


class Space(models.Model):
    """The representations of one analyzer version, in one index."""

    name = models.CharField(max_length=100, unique=True)
    kind = models.CharField(
        max_length=20, help_text="What its representations are; of each kind one space is active"
    )
    analyzer = models.CharField(max_length=100)
    dimension = models.PositiveIntegerField(default=0, help_text="Of its vectors; 0: it has none")
    state = models.CharField(max_length=10, choices=SpaceState, default=SpaceState.BUILDING)
    created_at = models.DateTimeField(auto_now_add=True)
    activated_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["kind"], condition=Q(state="active"), name="one_active_space_of_a_kind"
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_active(self) -> bool:
        return self.state == SpaceState.ACTIVE


class Indexed(models.Model):
    """A row whose payload (what searches filter by) is copied into the vector index.

    payload_version counts the changes of the payload; only a sync that read the row at the last
    of them may say that the index knows it.
    """

    index_stale = models.BooleanField(
        default=False, help_text="Its payload changed and the index does not know yet"
    )
    payload_version = models.PositiveIntegerField(default=0)

    class Meta:
        abstract = True


def mark_stale(rows: models.QuerySet[Any]) -> int:
    """Note that the payload of these rows changed; returns how many. One query."""
    return rows.update(index_stale=True, payload_version=F("payload_version") + 1)


def mark_synced(model: type[Indexed], seen: dict[int, int]) -> None:
    """Note that the index knows rows as they were; seen: payload_version by key, read before.

    Rows that changed since stay stale, or become so again: their older payload may have been
    written over a newer one.
    """
    by_version: dict[int, list[int]] = {}
    for pk, version in seen.items():
        by_version.setdefault(version, []).append(pk)
    for version, pks in by_version.items():
        for piece in in_pieces(pks):
            rows = model._default_manager.filter(pk__in=piece)
            rows.filter(payload_version=version).update(index_stale=False)
            rows.exclude(payload_version=version).update(index_stale=True)


class Leftover(models.Model):
    """Something erased whose bytes files still hold until they are written anew: `rewriting.py`."""

    space = models.ForeignKey(
        Space,
        models.CASCADE,
        null=True,
        related_name="leftovers",
        help_text="Whose collection in the index holds it; none: the database",
    )
    erased_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["erased_at"]

    def __str__(self) -> str:
        return f"{self.space or 'the database'}, since {self.erased_at:%Y-%m-%d %H:%M}"


class TrackAnalysis(Job, Indexed):
    """The analysis of one track for one space: it is leased with the track, and settles alone."""

    track = models.ForeignKey(Track, models.CASCADE, related_name="analyses")
    space = models.ForeignKey(Space, models.CASCADE, related_name="analyses")
    windows = models.PositiveIntegerField(
        default=0, help_text="Vectors or landmarks of it in the index"
    )

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["track", "space"], name="one_analysis_per_space")
        ]
        indexes = [
            models.Index(fields=["space", "state", "id"], name="analysis_work"),
            models.Index(fields=["id"], condition=Q(index_stale=True), name="analysis_index_stale"),
        ]

    def __str__(self) -> str:
        return f"{self.track_id} in {self.space_id}: {self.state}"
