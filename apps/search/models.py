"""Recent searches, kept so that a result page has an address to share and reload."""

import uuid

from django.conf import settings
from django.db import models


class Search(models.Model):
    """One search by a clip: the clip, the settings, and the answers as they were given.

    result: what sounds_alike found, in the shape of the search by nearness.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, null=True, blank=True, related_name="searches"
    )
    clip = models.FileField(max_length=200)
    clip_name = models.CharField(max_length=255)
    settings = models.JSONField(default=dict)
    result = models.JSONField(default=dict)
    answers = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created_at"]
        verbose_name_plural = "searches"

    def __str__(self) -> str:
        return self.clip_name
