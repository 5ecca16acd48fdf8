"""What Prometheus is told of the database: work and failures, the same by every web server."""

import math
import time
from collections.abc import Iterator

from django.db import Error
from django.db.models import Count, Min, Q
from django.utils import timezone
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import REGISTRY, Collector

from apps.analysis.checking import last_check
from apps.analysis.drift import DAMAGES
from apps.analysis.models import SpaceState, TrackAnalysis
from apps.analysis.slices import last_verified
from apps.catalog.models import Removal
from apps.jobs.models import PENDING, State
from apps.ops.backups.recording import last_backup
from apps.voices.models import Diarization, Enrolment, Measurement

REASONS = 10
KEPT_S = 15


class Work(Collector):
    """What the database knows: tracks by state, how old the queue is, why analyses failed."""

    def __init__(self) -> None:
        self.told: list[GaugeMetricFamily] = []
        self.told_at = -math.inf

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """What was found a moment ago, lest many scrapes count all rows again and again."""
        if time.monotonic() - self.told_at > KEPT_S:
            try:
                self.told = [
                    _tracks(),
                    _queue_age(),
                    _failures(),
                    _behind(),
                    _jobs(),
                    *_drift(),
                    *_backup(),
                ]
                self.told_at = time.monotonic()
            except Error:
                return  # what this process counted is told all the same
        yield from self.told

    def describe(self) -> list[GaugeMetricFamily]:
        return []


def _tracks() -> GaugeMetricFamily:
    found = GaugeMetricFamily("audiosearch_tracks", "Tracks by state", labels=["space", "state"])
    rows = TrackAnalysis.objects.values_list("space__name", "state").annotate(Count("pk"))
    for space, state, count in rows.order_by():
        found.add_metric([space, state], count)
    return found


def _queue_age() -> GaugeMetricFamily:
    found = GaugeMetricFamily(
        "audiosearch_queue_age_seconds", "How long the oldest track waits", labels=["space"]
    )
    queued = TrackAnalysis.objects.filter(state=State.QUEUED)
    serving = queued.exclude(space__state=SpaceState.RETIRED).values_list("space__name")
    for space, oldest in serving.annotate(Min("queued_at")).order_by():
        found.add_metric([space], (timezone.now() - oldest).total_seconds())
    return found


def _failures() -> GaugeMetricFamily:
    found = GaugeMetricFamily(
        "audiosearch_failures", "Tracks set aside, by the commonest reasons", labels=["reason"]
    )
    failed = TrackAnalysis.objects.filter(state=State.FAILED).values_list("reason")
    tracks = failed.annotate(count=Count("track", distinct=True))
    for reason, count in tracks.order_by("-count")[:REASONS]:
        found.add_metric([reason], count)
    return found


def _behind() -> GaugeMetricFamily:
    """Drift between database and index that a reconciliation has still to settle."""
    found = GaugeMetricFamily(
        "audiosearch_index_behind", "Rows the index does not know yet", labels=["kind"]
    )
    found.add_metric(
        ["edited"], TrackAnalysis.objects.filter(index_stale=True, state=State.READY).count()
    )
    found.add_metric(["deleted"], Removal.objects.count())
    found.add_metric(["enrolled"], Enrolment.objects.filter(index_stale=True).count())
    return found


def _jobs() -> GaugeMetricFamily:
    found = GaugeMetricFamily("audiosearch_voice_jobs", "Work on voices", labels=["kind", "state"])
    for kind in (Diarization, Measurement):
        pending = Q(state__in=PENDING)
        rows = kind._default_manager.filter(pending).values_list("state").annotate(Count("pk"))
        for state, count in rows.order_by():
            found.add_metric([kind.__name__.lower(), state], count)
    return found


def _drift() -> list[GaugeMetricFamily]:
    found = GaugeMetricFamily(
        "audiosearch_drift", "What the last scheduled check found and repaired", labels=["kind"]
    )
    told = []
    if checked := last_check():
        for kind, count in checked.drift.items():
            found.add_metric([kind], count)
        told.append(_at("checked", "When it was", checked.at))
    if verified := last_verified():
        for kind in DAMAGES:
            found.add_metric([kind], verified.damage.get(kind, 0))
        ended = "When the last slice was verified to its end"
        told.append(_at("verified", ended, verified.done_at))
    return [found, *told] if told else []


def _at(what: str, words: str, seconds: float) -> GaugeMetricFamily:
    at = GaugeMetricFamily(f"audiosearch_{what}_timestamp_seconds", words)
    at.add_metric([], seconds)
    return at


def _backup() -> list[GaugeMetricFamily]:
    last = last_backup()
    if last is None:
        return []
    found = GaugeMetricFamily(
        "audiosearch_backup_failed", "Whether the last backup failed, or found files damaged"
    )
    found.add_metric([], bool(last.problem))
    at = GaugeMetricFamily("audiosearch_backup_timestamp_seconds", "When the last one was whole")
    if last.whole_at is not None:
        at.add_metric([], last.whole_at)
    return [found, at]


work = Work()
REGISTRY.register(work)
