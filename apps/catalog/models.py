"""What the catalogue holds: tracks, how they are grouped, and how far each has been listened to."""

from django.conf import settings
from django.contrib.auth.models import Group
from django.db import models
from django.db.models import Q


class Kind(models.TextChoices):
    SOUND = "sound", "Sound"
    MUSIC = "music", "Music"
    SPEECH = "speech", "Speech"


class State(models.TextChoices):
    QUEUED = "queued", "Queued"
    LISTENING = "listening", "Listening"
    READY = "ready", "Ready"
    FAILED = "failed", "Failed"


class SpaceState(models.TextChoices):
    BUILDING = "building", "Building"
    ACTIVE = "active", "Active"
    RETIRED = "retired", "Retired"


class Collection(models.Model):
    """The user's grouping of tracks, for everybody or private to a group."""

    name = models.CharField(max_length=200)
    description = models.TextField(blank=True)
    audience = models.ForeignKey(
        Group,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text="Only this group and curators know of it; none: everybody who may search",
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["name"], condition=Q(audience=None), name="one_name_for_all"
            ),
            models.UniqueConstraint(fields=["name", "audience"], name="one_name_per_audience"),
        ]

    def __str__(self) -> str:
        return f"{self.name} (private to {self.audience})" if self.audience else self.name


class Tag(models.Model):
    """A free word on a track, kept in lower case."""

    name = models.CharField(max_length=100, unique=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Speaker(models.Model):
    """A person; the tracks that name them are their recordings."""

    name = models.CharField(max_length=200)
    external_id = models.CharField(max_length=200, unique=True, null=True, blank=True)
    notes = models.TextField(blank=True)
    groups = models.JSONField(default=list, blank=True, help_text='["staff", …], lower case')
    consent_by = models.CharField(
        max_length=200, blank=True, help_text="Who gave consent to being recognised"
    )
    consent_on = models.DateField(null=True, blank=True)
    consent_until = models.DateField(
        null=True, blank=True, help_text="The last day on which the voice is matched; none: no end"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Track(models.Model):
    """One audio file in the catalogue, with what is known about it."""

    file = models.FileField(max_length=200)
    original_name = models.CharField(max_length=255)
    sha256 = models.CharField("SHA-256", max_length=64, db_index=True)
    title = models.CharField(max_length=300)
    artist = models.CharField(max_length=300, blank=True)
    album = models.CharField(max_length=300, blank=True)
    description = models.TextField(blank=True)
    kind = models.CharField(max_length=10, choices=Kind, default=Kind.SOUND, db_index=True)
    collection = models.ForeignKey(
        Collection, models.SET_NULL, null=True, blank=True, related_name="tracks"
    )
    audience = models.ForeignKey(
        Group,
        models.PROTECT,
        null=True,
        blank=True,
        editable=False,
        related_name="+",
        help_text="That of its collection",
    )
    tags = models.ManyToManyField(Tag, blank=True, related_name="tracks")
    auto_tags = models.JSONField(
        default=list, blank=True, help_text='[{"name": …, "probability": 0…1}], likeliest first'
    )
    speaker = models.ForeignKey(
        Speaker, models.SET_NULL, null=True, blank=True, related_name="tracks"
    )
    edited_fields = models.JSONField(
        default=list, blank=True, help_text="Fields a person has set; the file's own tags stay out"
    )
    duration_ms = models.PositiveBigIntegerField()
    sample_rate = models.PositiveIntegerField()
    channels = models.PositiveSmallIntegerField()
    format = models.CharField(max_length=40)
    size_bytes = models.PositiveBigIntegerField()
    peaks = models.BinaryField(default=b"", help_text="Up to 1,000 absolute peaks, one byte each")
    added_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="tracks"
    )
    added_at = models.DateTimeField(auto_now_add=True, db_index=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["-added_at", "-id"]
        constraints = [
            # The same bytes once for each audience: being refused would tell of what is private.
            models.UniqueConstraint(
                fields=["sha256"], condition=Q(audience=None), name="one_track_for_all"
            ),
            models.UniqueConstraint(fields=["sha256", "audience"], name="one_track_per_audience"),
        ]

    def __str__(self) -> str:
        return self.title


class Space(models.Model):
    """The vectors of one encoder version; exactly one space, the default, answers searches."""

    name = models.CharField(max_length=100, unique=True)
    encoder = models.CharField(max_length=100)
    dimension = models.PositiveIntegerField()
    state = models.CharField(max_length=10, choices=SpaceState, default=SpaceState.BUILDING)
    is_default = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    activated_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["is_default"], condition=Q(is_default=True), name="one_default_space"
            )
        ]

    def __str__(self) -> str:
        return self.name


class Listening(models.Model):
    """The work of hearing one track for one space, and how far it has come."""

    track = models.ForeignKey(Track, models.CASCADE, related_name="listenings")
    space = models.ForeignKey(Space, models.CASCADE, related_name="listenings")
    state = models.CharField(max_length=10, choices=State, default=State.QUEUED)
    reason = models.CharField(max_length=500, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    claimed_by = models.CharField(max_length=120, blank=True)
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    windows = models.PositiveIntegerField(default=0)
    index_stale = models.BooleanField(
        default=False, help_text="Its collection or tags changed and the index does not know yet"
    )
    request_id = models.CharField(
        max_length=64,
        blank=True,
        default="",
        help_text="The request that asked for it, as it is logged",
    )
    queued_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["track", "space"], name="one_listening_per_space")
        ]
        indexes = [
            models.Index(fields=["space", "state", "id"], name="listening_work"),
            models.Index(
                fields=["id"], condition=Q(index_stale=True), name="listening_index_stale"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.track_id} in {self.space_id}: {self.state}"


class Removal(models.Model):
    """A deleted track whose vectors and file still have to go."""

    track_id = models.PositiveBigIntegerField(primary_key=True)
    file_name = models.CharField(max_length=200)
    requested_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["requested_at"]

    def __str__(self) -> str:
        return str(self.track_id)
