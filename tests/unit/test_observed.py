"""What Prometheus is told, and whom it is told to."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from apps.analysis.models import TrackAnalysis
from apps.jobs.models import State
from apps.ops.metrics import work
from tests.unit.conftest import AddTone

pytestmark = pytest.mark.django_db(transaction=True)
Samples = dict[tuple[str, tuple[str, ...]], float]


def told(client: Client) -> Samples:
    work.told_at = -math.inf
    answer = client.get("/metrics")
    assert answer.status_code == 200
    return {
        (sample.name, tuple(sorted(sample.labels.values()))): sample.value
        for family in text_string_to_metric_families(answer.content.decode())
        for sample in family.samples
    }


def test_requests_and_searches_are_counted(
    curator: Client, add_tone: AddTone, clip: Callable[[float, float], Path]
) -> None:
    add_tone(440)
    before = told(curator)
    with clip(440, 2).open("rb") as file:
        assert curator.post("/api/v1/search/", {"file": file}).status_code == 200
    curator.get("/nowhere/at/all/")
    curator.generic("INVENTED", "/nowhere/at/all/")
    after = told(curator)

    def more(name: str, *labels: str) -> float:
        key = (name, tuple(sorted(labels)))
        return after.get(key, 0) - before.get(key, 0)

    assert more("audiosearch_requests_total", "api-search", "POST", "200") == 1
    assert more("audiosearch_requests_total", "none", "GET", "404") == 1
    assert more("audiosearch_requests_total", "none", "other", "404") == 1
    assert more("audiosearch_request_seconds_count", "api-search") == 1
    for stage in ("decode", "encode", "index", "total"):
        assert more("audiosearch_search_seconds_count", stage) == 1


def test_the_work_is_told(curator: Client, add_tone: AddTone) -> None:
    add_tone(440)
    failed = add_tone(1760)
    TrackAnalysis.objects.filter(track=failed).update(state=State.FAILED, reason="It is broken.")
    add_tone(880, listen=False)
    samples = told(curator)
    assert samples["audiosearch_tracks", ("fake-v1", "ready")] == 1
    assert samples["audiosearch_tracks", ("fake-v1", "queued")] == 1
    assert samples["audiosearch_failures", ("It is broken.",)] == 1
    assert samples["audiosearch_queue_age_seconds", ("fake-v1",)] >= 0
    assert samples["audiosearch_index_behind", ("edited",)] == 0


def test_only_staff_are_told(member: Client) -> None:
    assert member.get("/metrics").status_code == 403
    assert Client().get("/metrics").status_code in (401, 403)
