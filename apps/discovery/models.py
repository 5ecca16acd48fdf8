"""Which tracks are one recording, what was decided of them, and how far they were looked for."""

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from apps.catalog.models import Track

WHOLE, ENDS_MS = 0.75, 3000
"""A track is whole in another when the stretch they share is so much of it, and no more is missing
than its ends: landmarks reach neither the very first moment nor far into what fades."""


class DuplicatePair(models.Model):
    """Two tracks that share a stretch of one recording, and what shows it.

    aligned, of: how many of the landmarks of that stretch agree. gain_db: how much louder the
    second is in it; None where that could not be measured. dismissed_at: since when a person says
    that they are no duplicates, for ever.
    """

    first = models.ForeignKey(Track, models.CASCADE, related_name="+")
    second = models.ForeignKey(Track, models.CASCADE, related_name="+")
    share = models.FloatField()
    aligned = models.PositiveIntegerField()
    of = models.PositiveIntegerField()
    first_start_ms = models.PositiveBigIntegerField()
    first_end_ms = models.PositiveBigIntegerField()
    second_start_ms = models.PositiveBigIntegerField()
    second_end_ms = models.PositiveBigIntegerField()
    speed = models.FloatField(help_text="Of the first against the second")
    gain_db = models.FloatField(null=True)
    found_at = models.DateTimeField(auto_now_add=True)
    dismissed_at = models.DateTimeField(null=True, blank=True)
    dismissed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )

    class Meta:
        ordering = ["first", "second"]
        constraints = [
            models.UniqueConstraint(fields=["first", "second"], name="one_pair_of_two_tracks"),
            models.CheckConstraint(condition=Q(first__lt=F("second")), name="pair_in_order"),
        ]

    def __str__(self) -> str:
        return f"{self.first_id} and {self.second_id}"

    @property
    def offset_ms(self) -> int:
        """How much later the stretch is in the second."""
        return self.second_start_ms - self.first_start_ms

    def stretch_in(self, track_id: int) -> tuple[int, int]:
        """Where the shared stretch is in one of the two, in ms."""
        if track_id == self.first_id:
            return self.first_start_ms, self.first_end_ms
        return self.second_start_ms, self.second_end_ms

    def other_id(self, track_id: int) -> int:
        return self.second_id if track_id == self.first_id else self.first_id

    def is_whole(self, track: Track) -> bool:
        """Whether all of a track, one of the two, is in the other."""
        start, end = self.stretch_in(track.pk)
        missing_ms = track.duration_ms - (end - start)
        return missing_ms <= min(ENDS_MS, (1 - WHOLE) * track.duration_ms)


class SearchedTrack(models.Model):
    """A track for which duplicates were looked for, as it was analysed then."""

    track = models.OneToOneField(Track, models.CASCADE, primary_key=True, related_name="+")
    space = models.CharField(max_length=100)
    analysed_at = models.DateTimeField()
    searched_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return str(self.track_id)


class KeptCopy(models.Model):
    """One copy that was kept and what moved to it, so that all of it can be undone.

    moved: {"tags": [name, …], "fields": {name: what it is filled with, …}, "links": {track id: …}}.
    """

    track = models.ForeignKey(Track, models.SET_NULL, null=True, related_name="+")
    retired_ids = models.JSONField(default=list)
    moved: Any = models.JSONField(default=dict)
    kept_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    kept_at = models.DateTimeField(auto_now_add=True)
    undone_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-kept_at", "-id"]

    def __str__(self) -> str:
        return f"{self.track_id} for {self.retired_ids}"
