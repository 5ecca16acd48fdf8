"""Tokens with which programs call the API, sessions of browsers, and the audit log."""

import uuid

from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import models
from django.utils import timezone


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
    expires_on = models.DateField(
        null=True, blank=True, help_text="The last day on which it works; none: until it is revoked"
    )

    class Meta:
        ordering = ["-created_at", "-id"]

    def __str__(self) -> str:
        return f"{self.prefix}… of {self.user}"


class BrowserSession(models.Model):
    """Where and when a session of Django's was last seen; it goes with the session."""

    session = models.OneToOneField(Session, models.CASCADE, primary_key=True, related_name="+")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="browser_sessions"
    )
    number = models.UUIDField(default=uuid.uuid4, unique=True, help_text="Tells it without the key")
    address = models.GenericIPAddressField(null=True)
    agent = models.CharField(max_length=300, help_text="What the browser says it is")
    began_at = models.DateTimeField(auto_now_add=True)
    seen_at = models.DateTimeField()

    class Meta:
        ordering = ["-seen_at"]

    def __str__(self) -> str:
        return f"{self.user} from {self.address}"


class AuditAction(models.TextChoices):
    """What the audit log knows of besides the actions on voices."""

    LOG_IN = "log-in", "Logged in"
    LOG_OUT = "log-out", "Logged out"
    LOG_IN_FAILED = "log-in failed", "A log-in failed"
    LOG_IN_LOCKED = "log-in locked", "Too many log-ins failed"
    SESSION_ENDED = "session ended", "A session was ended"
    PASSWORD = "password", "The password was changed"
    TWO_STEP_ON = "two-step on", "Two-step log-in was turned on"
    TWO_STEP_OFF = "two-step off", "Two-step log-in was turned off"
    CODES = "recovery codes", "New recovery codes were made"
    TOKEN_MADE = "token made", "A token was made"
    TOKEN_REVOKED = "token revoked", "A token was revoked"
    AUDIENCE = "audience", "Recordings are for other people"
    GROUPS = "groups", "A user joined or left groups"
    ROLE = "role", "A user's role was changed"
    CONSENT = "consent", "A speaker's consent was changed"


class AuditEvent(models.Model):
    """A line of the audit log. It is only ever added, and outlives what it tells of.

    Users are told by number and by the name they had; speakers by number alone.
    """

    at = models.DateTimeField(default=timezone.now, db_index=True)
    action = models.CharField(max_length=20, db_index=True)
    user_number = models.PositiveBigIntegerField(null=True)
    username = models.CharField(max_length=150, help_text="As it was then; empty: the operator")
    address = models.GenericIPAddressField(null=True)
    speaker_number = models.PositiveBigIntegerField(null=True)
    request_id = models.CharField(max_length=64, help_text="As in the server's log")
    detail = models.JSONField(default=dict)

    class Meta:
        ordering = ["-at", "-id"]

    def __str__(self) -> str:
        return f"{self.action} by {self.username}"
