"""Long recordings that somebody had compared with the catalogue, and what was heard in them."""

import uuid

from django.conf import settings
from django.db import models

from apps.jobs.models import Job


class Scan(Job):
    """One long recording, how far the work on it has come, and its play log.

    plays: as `play_logs.kept_plays` has them, tracks by number only. settings: the filters that
    were asked for, as `SearchSettings.as_json` tells them. file: kept until the scan ends.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="scans")
    file = models.FileField(max_length=200, blank=True)
    stream = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="The sound track that is heard of a file of several"
    )
    name = models.CharField(max_length=255)
    size_bytes = models.PositiveBigIntegerField()
    duration_ms = models.PositiveBigIntegerField()
    scanned_ms = models.PositiveBigIntegerField(default=0)
    settings = models.JSONField(default=dict)
    plays = models.JSONField(default=list)

    class Meta:
        ordering = ["-queued_at"]

    def __str__(self) -> str:
        return self.name

    @property
    def percent(self) -> int:
        """How far it is."""
        return min(100, 100 * self.scanned_ms // max(self.duration_ms, 1))
