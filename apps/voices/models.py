"""What is known of voices, what it was decided by, and who asked."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from apps.analysis.models import Indexed, Space
from apps.catalog.models import Track
from apps.jobs.models import Job


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
    words = models.TextField(
        default="", editable=False, help_text="Name and external id as they are searched"
    )
    sort_key = models.BinaryField(default=b"", editable=False, help_text="Of the name")

    class Meta:
        ordering = ["sort_key", "name"]

    def __str__(self) -> str:
        return self.name


class Enrolment(Indexed):
    """One recording that a speaker is known by, as one encoder embedded it.

    The vector is biometric: it is in no answer of any API and no page.
    """

    speaker = models.ForeignKey(Speaker, models.CASCADE, related_name="enrolments")
    track = models.ForeignKey(Track, models.CASCADE, related_name="enrolments")
    space = models.ForeignKey(Space, models.CASCADE, related_name="enrolments")
    embedding = models.BinaryField(help_text="float32, little endian, unit length")
    net_ms = models.PositiveIntegerField(help_text="Speech in it, pauses left out")
    snr_db = models.FloatField()
    enrolled_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    enrolled_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-enrolled_at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["track", "space"], name="one_enrolment_per_track")
        ]

    def __str__(self) -> str:
        return f"{self.speaker_id} by {self.track_id}"


class OperatingPoint(models.Model):
    """What scores mean in a space: thresholds and probabilities, and the data they come from."""

    space = models.CharField(max_length=100)
    far_target = models.FloatField()
    points = models.JSONField(help_text="One for each length of speech, shortest first")
    source = models.CharField(max_length=300)
    genuine = models.PositiveIntegerField()
    impostor = models.PositiveIntegerField()
    in_force = models.BooleanField(default=False)
    likeness = models.JSONField(default=dict, help_text="What makes one voice in a recording")
    cohort = models.BinaryField(
        default=b"", help_text="float16 vectors of strangers that scores are told by"
    )
    dimension = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["space"], condition=Q(in_force=True), name="one_point_in_force"
            )
        ]

    def __str__(self) -> str:
        return f"{self.space}: {self.source}"


class VoiceAction(models.TextChoices):
    """What the audit log tells of voices."""

    ENROL = "enrol", "Enrol"
    UNENROL = "unenrol", "Remove a recording"
    MOVE = "move", "Know by another copy of a recording"
    VERIFY = "verify", "Verify"
    IDENTIFY = "identify", "Identify"
    ERASE = "erase", "Erase a speaker"
    DIARIZE = "diarize", "Find out who speaks when"


def too_few_pairs(impostor: int, far_target: float) -> str:
    """Why a threshold for so few false accepts cannot rest on so many pairs of two voices."""
    needed = round(1 / far_target)
    if impostor >= needed:
        return ""
    return (
        f"{impostor} pairs of two voices cannot show what {far_target:.2%} false accepts are; "
        f"{needed} are needed. What was measured before goes on deciding."
    )


class Diarization(Job):
    """Who speaks when in a track, and how far the work of finding out has come."""

    track = models.OneToOneField(Track, models.CASCADE, related_name="diarization")
    heard_ms = models.PositiveBigIntegerField(default=0)
    turns = models.JSONField(default=list, help_text="[[start_ms, end_ms, number of the voice], …]")

    def __str__(self) -> str:
        return f"{self.track_id}: {self.state}"


class DiarizedVoice(models.Model):
    """A voice of a diarization, and whose it was found to be; no vector of it is kept."""

    diarization = models.ForeignKey(Diarization, models.CASCADE, related_name="voices")
    number = models.PositiveSmallIntegerField()
    speech_ms = models.PositiveBigIntegerField()
    speaker = models.ForeignKey(
        Speaker, models.SET_NULL, null=True, blank=True, related_name="diarized_voices"
    )
    open_speaker = models.ForeignKey(
        Speaker,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        help_text="By enrolments only that everybody who may know of the track may know of",
    )

    class Meta:
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint(fields=["diarization", "number"], name="one_voice_per_number")
        ]

    def __str__(self) -> str:
        return f"voice {self.number} of {self.diarization_id}"


class Measurement(Job):
    """How well the enrolled speakers are told apart, measured on their own recordings."""

    space = models.CharField(max_length=100)
    progress = models.CharField(max_length=100, blank=True)
    report = models.JSONField(default=dict)
    cohort = models.BinaryField(default=b"", help_text="What scores were told by")
    plots = models.JSONField(default=dict, help_text="SVG by name")
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )

    class Meta:
        ordering = ["-queued_at"]

    def __str__(self) -> str:
        return f"{self.space}, {self.queued_at:%Y-%m-%d %H:%M}"

    @property
    def too_few(self) -> str:
        """Why its thresholds cannot decide; empty when they can."""
        return too_few_pairs(self.report["impostor"], self.report["far_target"])
