"""The check that runs by itself: it mends, alone, and tells what it found."""

import ast
import logging
import math
import os
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.test import Client

from apps.analysis import checking, drift
from apps.analysis.checking import KINDS, check_and_repair, last_check
from apps.analysis.drift import find_drift
from apps.analysis.index import get_index
from apps.analysis.models import TrackAnalysis
from apps.analysis.representations import forget_kept
from apps.analysis.tasks import check
from apps.jobs.models import State
from apps.ops.metrics import work as work_told
from audiosearch import settings as shipped
from audiosearch.celery import app
from audiosearch.engine.errors import IndexUnavailable
from tests.unit.conftest import AddTone

pytestmark = pytest.mark.django_db(transaction=True)


def metrics(client: Client) -> list[str]:
    work_told.told_at = -math.inf
    return client.get("/metrics").content.decode().splitlines()


def test_it_mends_and_tells(
    add_tone: AddTone, curator: Client, caplog: pytest.LogCaptureFixture
) -> None:
    assert last_check() is None
    assert not any(line.startswith("audiosearch_drift") for line in metrics(curator))
    one, two, three = add_tone(440), add_tone(550), add_tone(660)
    get_index().delete_items("fake-v1", [one.pk])
    forget_kept("fake-v1", two.pk)
    default_storage.delete(str(three.file.name))
    orphan = default_storage.save("tracks/ab/orphan.wav", ContentFile(b"x"))
    os.utime(default_storage.path(orphan), (0, 0))
    kinds = {found.kind for found in find_drift()}
    assert kinds == {"missing in index", "vectors missing", "file missing", "orphan file"}
    with caplog.at_level(logging.WARNING):
        check()
    assert "found and repaired 1 × missing in index" in caplog.text
    assert find_drift() == []
    assert one.analyses.get(space__name="fake-v1").state == State.QUEUED
    checked = last_check()
    assert checked is not None
    assert set(checked.drift) == set(KINDS)
    assert {kind for kind, count in checked.drift.items() if count} == kinds
    lines = metrics(curator)
    assert 'audiosearch_drift{kind="missing in index"} 1.0' in lines
    assert 'audiosearch_drift{kind="unknown to database"} 0.0' in lines
    assert any(line.startswith("audiosearch_checked_timestamp_seconds 1.") for line in lines)


def test_a_check_finds_nothing_after_another(add_tone: AddTone) -> None:
    add_tone(440)
    assert check_and_repair()
    checked = last_check()
    assert checked is not None
    assert not any(checked.drift.values())


def test_it_never_runs_twice_at_once(add_tone: AddTone, monkeypatch: pytest.MonkeyPatch) -> None:
    add_tone(440)
    inner: list[bool] = []

    def meanwhile() -> list[Any]:
        inner.append(check_and_repair())
        return find_drift()

    monkeypatch.setattr(checking, "find_drift", meanwhile)
    assert check_and_repair()
    assert inner == [False]
    monkeypatch.undo()
    assert check_and_repair()


def test_work_on_its_way_is_left_alone(add_tone: AddTone, monkeypatch: pytest.MonkeyPatch) -> None:
    track = add_tone(440)
    rows = TrackAnalysis.objects.filter(track=track, space__name="fake-v1")
    rows.update(windows=7)

    def then_finished() -> list[Any]:
        drifts = find_drift()
        rows.update(windows=1)
        return drifts

    monkeypatch.setattr(checking, "find_drift", then_finished)
    assert check_and_repair()
    assert rows.get().state == State.READY


def test_it_waits_for_an_index_that_is_away(
    add_tone: AddTone, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_tone(440)

    def away(space: str) -> dict[int, int]:
        raise IndexUnavailable("The index does not answer.")

    monkeypatch.setattr(get_index(), "window_counts", away)
    assert not check_and_repair()
    monkeypatch.undo()
    assert check_and_repair()  # the lock was given back


def test_it_is_on_the_schedule() -> None:
    planned = shipped.CELERY_BEAT_SCHEDULE["analysis.check"]
    assert planned["schedule"] == 24 * 3600
    app.loader.import_default_modules()
    for one in shipped.CELERY_BEAT_SCHEDULE.values():
        assert one["task"] in app.tasks


def test_every_kind_of_drift_is_told() -> None:
    source = ast.parse(Path(drift.__file__).read_text())
    calls = [node for node in ast.walk(source) if isinstance(node, ast.Call)]
    names = [ast.unparse(call.args[0]) for call in calls if ast.unparse(call.func) == "Drift"]
    assert sorted(getattr(drift, name) for name in names) == sorted(KINDS)
