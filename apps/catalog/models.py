"""What the catalogue holds: tracks, and how they are grouped."""

from django.conf import settings
from django.contrib.auth.models import Group
from django.db import models
from django.db.models import Q

TEXT_FIELDS = ("title", "artist", "album", "description")
MAX_NAME = 200
"""Characters of the name of a collection."""


class Kind(models.TextChoices):
    SOUND = "sound", "Sound"
    MUSIC = "music", "Music"
    SPEECH = "speech", "Speech"


class Collection(models.Model):
    """The user's grouping of tracks, for everybody or private to a group."""

    name = models.CharField(max_length=MAX_NAME)
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
    words = models.TextField(default="", editable=False, help_text="Its name as it is searched")
    sort_key = models.BinaryField(default=b"", editable=False, help_text="Of its name")

    class Meta:
        ordering = ["sort_key", "name"]
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
    words = models.TextField(default="", editable=False, help_text="Its name as it is searched")
    sort_key = models.BinaryField(default=b"", editable=False, help_text="Of its name")

    class Meta:
        ordering = ["sort_key", "name"]

    def __str__(self) -> str:
        return self.name


class Track(models.Model):
    """One audio file in the catalogue, with what is known about it."""

    file = models.FileField(max_length=200)
    original_name = models.CharField(max_length=255)
    sha256 = models.CharField("SHA-256", max_length=64, db_index=True)
    title = models.CharField(max_length=300)
    sort_key = models.BinaryField(default=b"", editable=False, help_text="Of its title")
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
        "voices.Speaker", models.SET_NULL, null=True, blank=True, related_name="tracks"
    )
    for_enrolment = models.BooleanField(
        default=False,
        editable=False,
        help_text="Brought to enrol a speaker: searches by sound leave it out unless asked",
    )
    edited_fields = models.JSONField(
        default=list, blank=True, help_text="Fields a person has set; the file's own tags stay out"
    )
    duration_ms = models.PositiveBigIntegerField()
    sample_rate = models.PositiveIntegerField()
    channels = models.PositiveSmallIntegerField()
    format = models.CharField(max_length=40)
    size_bytes = models.PositiveBigIntegerField()
    stream = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        editable=False,
        help_text="Which of the file's sound tracks is heard, from 0; none: it has but one",
    )
    peaks = models.BinaryField(default=b"", help_text="Up to 1,000 absolute peaks, one byte each")
    added_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="tracks"
    )
    added_at = models.DateTimeField(auto_now_add=True, db_index=True)
    retired_at = models.DateTimeField(
        null=True,
        blank=True,
        db_index=True,
        editable=False,
        help_text="Since when another copy stands for it; nobody finds it, and in time it goes",
    )
    replaced_by = models.ForeignKey(
        "self", models.SET_NULL, null=True, blank=True, editable=False, related_name="replaced"
    )
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["-added_at", "-id"]
        indexes = [
            models.Index(fields=["sort_key", "-id"], name="track_by_title"),
            models.Index(fields=["-sort_key", "-id"], name="track_by_title_backwards"),
            # All that quotas read; without it they would read every row.
            models.Index(fields=["added_by", "size_bytes"], name="track_by_owner"),
        ]
        constraints = [
            # The same bytes once for each audience: being refused would tell of what is private.
            models.UniqueConstraint(
                fields=["sha256"],
                condition=Q(audience=None, retired_at=None),
                name="one_track_for_all",
            ),
            models.UniqueConstraint(
                fields=["sha256", "audience"],
                condition=Q(retired_at=None),
                name="one_track_per_audience",
            ),
        ]

    def __str__(self) -> str:
        return self.title


class TrackWords(models.Model):
    """The texts of a track as they are searched; apart, as reading all of them is quick so."""

    track = models.OneToOneField(Track, models.CASCADE, primary_key=True, related_name="searched")
    words = models.TextField()

    def __str__(self) -> str:
        return self.words


class Removal(models.Model):
    """A deleted track whose vectors and file still have to go."""

    track_id = models.PositiveBigIntegerField(primary_key=True)
    file_name = models.CharField(max_length=200)
    requested_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["requested_at"]

    def __str__(self) -> str:
        return str(self.track_id)
