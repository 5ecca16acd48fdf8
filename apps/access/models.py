"""Tokens with which programs call the API on behalf of a user."""

from django.conf import settings
from django.db import models


class Scope(models.TextChoices):
    READ = "read", "Search and read"
    WRITE = "write", "Add, change and delete"
    VOICES = "voices", "Speakers: enrol, verify, identify"


class ApiToken(models.Model):
    """A token; only its digest is kept, so it is shown once, when it is made."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=100, help_text="What it is for")
    digest = models.CharField(max_length=64, unique=True, help_text="SHA-256")
    prefix = models.CharField(max_length=8, help_text="How it begins")
    scopes = models.JSONField(default=list)
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at", "-id"]

    def __str__(self) -> str:
        return f"{self.prefix}… of {self.user}"
