"""Work that the database knows, and locks that every process sees."""

from django.db import models


class State(models.TextChoices):
    """Where a piece of work stands; the values are those of the API."""

    QUEUED = "queued", "Queued"
    RUNNING = "listening", "Listening"
    READY = "ready", "Ready"
    FAILED = "failed", "Failed"


PENDING = (State.QUEUED, State.RUNNING)


class Job(models.Model):
    """Work that one worker at a time does under a lease; see `leases.py`."""

    state = models.CharField(max_length=10, choices=State, default=State.QUEUED)
    reason = models.CharField(max_length=500, blank=True, help_text="Why it failed, or waits")
    attempts = models.PositiveSmallIntegerField(default=0)
    leased_by = models.CharField(max_length=120, blank=True, help_text="Host and process id")
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    request_id = models.CharField(
        max_length=64,
        blank=True,
        default="",
        help_text="The request that asked for it, as it is logged",
    )
    queued_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True

    @property
    def pending(self) -> bool:
        return self.state in PENDING


class Worker(models.Model):
    """A worker, and when it last said that it lives; see `workers.py`."""

    name = models.CharField(max_length=120, primary_key=True)
    seen_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name


class Lock(models.Model):
    """Something that one process at a time may do; see `locks.py`."""

    name = models.CharField(max_length=150, primary_key=True)
    holder = models.CharField(max_length=120)
    expires_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name}: {self.holder}"
