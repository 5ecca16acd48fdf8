"""Workers that are stopped or silent are told of, and settle nothing that is no longer theirs."""

import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.analysis.leasing import lease_tracks
from apps.analysis.models import TrackAnalysis
from apps.analysis.representations import kept_name
from apps.analysis.writing import Finished, prepare, write
from apps.jobs import workers
from apps.jobs.leases import LEASE, requeue_lost, worker_name
from apps.jobs.models import State, Worker
from apps.jobs.processes import is_stopped
from apps.jobs.workers import FORGOTTEN, SILENT, begin_beating, forget_gone, look_at_workers
from audiosearch.engine.analyzers.base import Embeddings
from tests.unit.conftest import AddTone
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)
HERE = socket.gethostname()


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    """A process that has a child, which the shell waits for."""
    running = subprocess.Popen(["sh", "-c", "sleep 60; true"], start_new_session=True)
    yield running
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()


def child_of(pid: int) -> int:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    wait_until(lambda: path.read_text().split())
    return int(path.read_text())


def ready(client: Client) -> tuple[int, bool, str]:
    answer = client.get("/api/v1/ready/")
    told = answer.json()["workers"]
    return answer.status_code, told["ok"], told["message"]


def test_a_stopped_worker_is_told_of(
    process: subprocess.Popen[bytes], add_tone: AddTone, curator: Client
) -> None:
    """It, or the process of it that does the work; to anybody without names."""
    add_tone(440)
    Worker.objects.create(name=f"{HERE}:{process.pid}", seen_at=timezone.now())
    child = child_of(process.pid)
    assert ready(Client()) == (200, True, "")
    for pid in (process.pid, child):
        os.kill(pid, signal.SIGSTOP)
        wait_until(lambda: is_stopped(process.pid))
        told = "1 of 1 workers is stopped or silent. What is added waits for a worker."
        assert ready(Client()) == (200, False, told)
        page = curator.get(reverse("admin:analysis_space_changelist")).content.decode()
        assert f"The worker {HERE}:{process.pid} is stopped (SIGSTOP)" in page
        os.kill(pid, signal.SIGCONT)
        wait_until(lambda: not is_stopped(process.pid))
        assert look_at_workers().summary == ""


def test_one_elsewhere_is_told_of_when_it_falls_silent() -> None:
    Worker.objects.create(name=worker_name(), seen_at=timezone.now())
    other = Worker.objects.create(name="elsewhere:1", seen_at=timezone.now())
    assert look_at_workers().well == 2
    for seen_at in (timezone.now() - SILENT * 2, timezone.now() + SILENT * 2):  # a clock set back
        Worker.objects.filter(pk=other.pk).update(seen_at=seen_at)
        crew = look_at_workers()
        assert crew.summary == "1 of 2 workers is stopped or silent."
        assert "elsewhere:1 was last heard of at" in crew.problems[0]
    Worker.objects.filter(pk=other.pk).update(seen_at=timezone.now() - FORGOTTEN * 2)
    assert look_at_workers().summary == ""


def test_who_ended_is_no_worker() -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    Worker.objects.create(name=f"{HERE}:{ended.pid}", seen_at=timezone.now())
    assert look_at_workers().summary == "No worker is there. What is added waits for a worker."
    Worker.objects.create(name="elsewhere:1", seen_at=timezone.now() - FORGOTTEN * 2)
    forget_gone()
    assert not Worker.objects.exists()


def test_a_worker_says_that_it_lives_until_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "BEAT_S", 0.05)
    done = begin_beating()
    wait_until(lambda: look_at_workers().well == 1)
    first = Worker.objects.get().seen_at
    wait_until(lambda: Worker.objects.get().seen_at > first)
    Worker.objects.all().delete()  # as if it had been silent for a day
    wait_until(lambda: Worker.objects.exists())
    done.set()
    wait_until(lambda: not Worker.objects.exists())
    wait_until(lambda: all(each.name != "worker lives" for each in threading.enumerate()))


def test_who_lost_a_track_writes_nothing_of_it(add_tone: AddTone) -> None:
    """Not even vectors: they may be those of another analysis by then."""
    lost, kept = add_tone(440, listen=False), add_tone(550, listen=False)
    space = TrackAnalysis.objects.filter(track=lost, space__name="fake-v1").get().space
    rows = [rows[0] for rows in lease_tracks([space.pk], 2).values()]
    TrackAnalysis.objects.filter(pk=rows[0].pk).update(heartbeat_at=timezone.now() - LEASE * 2)
    assert requeue_lost(TrackAnalysis) == 1
    found = Embeddings(np.eye(1, 32, dtype=np.float32), np.array([[0, 2000]]))
    bulks = prepare([Finished(row, found) for row in rows])
    write(bulks)
    assert [track_id for track_id, _ in bulks[0].unkept] == [kept.pk]
    assert rows[0].track.file.storage.exists(kept_name("fake-v1", kept.pk))
    assert not rows[0].track.file.storage.exists(kept_name("fake-v1", lost.pk))
    assert TrackAnalysis.objects.get(pk=rows[0].pk).state == State.QUEUED
