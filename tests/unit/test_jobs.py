"""Leases and locks: one worker at a time, whatever becomes of the others."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from apps.jobs import leases
from apps.jobs.leases import (
    LEASE,
    MAX_ATTEMPTS,
    claim,
    heartbeat,
    mine,
    release,
    requeue_left,
    requeue_lost,
    settle,
    work_off,
)
from apps.jobs.locks import exclusive
from apps.jobs.models import Lock, State
from apps.voices.models import Measurement
from audiosearch.engine.errors import AudioError, IndexUnavailable

pytestmark = pytest.mark.django_db(transaction=True)
ELSEWHERE = "elsewhere:1"


@contextmanager
def working_as(name: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Be another worker for a while."""
    with monkeypatch.context() as patch:
        patch.setattr(leases, "worker_name", lambda: name)
        yield


def queued(count: int = 1) -> list[Measurement]:
    return [Measurement.objects.create(space="voices-v1") for _ in range(count)]


def dead_process() -> str:
    """The name of a worker of this host that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return f"{socket.gethostname()}:{process.pid}"


def test_only_one_gets_what_two_want(monkeypatch: pytest.MonkeyPatch) -> None:
    pks = [row.pk for row in queued(3)]
    assert claim(Measurement, pks[:2]) == pks[:2]
    with working_as(ELSEWHERE, monkeypatch):
        assert claim(Measurement, pks) == pks[2:]
        assert claim(Measurement, pks) == []
    first = Measurement.objects.get(pk=pks[0])
    assert (first.state, first.attempts) == (State.RUNNING, 1)
    assert first.leased_by == f"{socket.gethostname()}:{os.getpid()}"


def test_only_the_holder_settles(monkeypatch: pytest.MonkeyPatch) -> None:
    (row,) = queued()
    claim(Measurement, [row.pk])
    with working_as(ELSEWHERE, monkeypatch):
        assert not settle(row, State.READY, progress="wrong")
        assert heartbeat([row], progress="wrong") == 0
        release([row], "wrong")
    assert mine([row]).count() == 1
    assert settle(row, State.READY, progress="right")
    row.refresh_from_db()
    assert (row.state, row.progress, row.attempts) == (State.READY, "right", 0)
    assert (row.leased_by, row.reason) == ("", "")
    assert row.finished_at is not None
    assert not settle(row, State.FAILED, "twice")


def test_who_lost_the_lease_writes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even when the row is its own again in all but the name."""
    (row,) = queued()
    claim(Measurement, [row.pk])
    Measurement.objects.update(heartbeat_at=timezone.now() - LEASE * 2)
    assert requeue_lost(Measurement) == 1
    with working_as(ELSEWHERE, monkeypatch):
        claim(Measurement, [row.pk])
    assert not settle(row, State.READY)
    release([row], "gone")
    row.refresh_from_db()
    assert (row.state, row.leased_by, row.attempts) == (State.RUNNING, ELSEWHERE, 2)


def test_work_given_back_counts_as_never_taken() -> None:
    (row,) = queued()
    claim(Measurement, [row.pk])
    release([row], "The index is away.")
    row.refresh_from_db()
    assert (row.state, row.attempts, row.reason) == (State.QUEUED, 0, "The index is away.")


def test_the_dead_are_found_by_process_and_by_heartbeat() -> None:
    ended, silent, busy, here = queued(4)
    claim(Measurement, [row.pk for row in (ended, silent, busy, here)])
    rows = Measurement.objects
    rows.filter(pk=ended.pk).update(leased_by=dead_process())
    late = timezone.now() - LEASE - timedelta(seconds=1)
    rows.filter(pk=silent.pk).update(leased_by=ELSEWHERE, heartbeat_at=late)
    rows.filter(pk=busy.pk).update(leased_by=ELSEWHERE)
    assert requeue_lost(Measurement) == 2
    states = dict(rows.values_list("pk", "state"))
    assert {pk for pk, state in states.items() if state == State.QUEUED} == {ended.pk, silent.pk}
    assert states[busy.pk] == states[here.pk] == State.RUNNING


def test_what_this_process_left_is_queued_at_once() -> None:
    left, other = queued(2)
    claim(Measurement, [left.pk, other.pk])
    Measurement.objects.filter(pk=other.pk).update(leased_by=ELSEWHERE)
    assert requeue_left(Measurement) == 1
    left.refresh_from_db()
    other.refresh_from_db()
    assert (left.state, other.state) == (State.QUEUED, State.RUNNING)


def test_three_attempts_and_no_more() -> None:
    (row,) = queued()
    told: list[tuple[int, str]] = []
    for attempt in range(1, MAX_ATTEMPTS + 1):
        assert claim(Measurement, [row.pk]) == [row.pk]
        again = requeue_left(Measurement, lambda job, why: told.append((job.pk, why)))
        assert again == (attempt < MAX_ATTEMPTS)
    row.refresh_from_db()
    assert (row.state, row.leased_by) == (State.FAILED, "")
    assert row.finished_at is not None
    assert told == [(row.pk, row.reason)]
    assert "broke off 3 times" in row.reason


def test_work_is_done_oldest_first_and_fails_alone() -> None:
    first, second, third = queued(3)
    Measurement.objects.filter(pk=third.pk).update(queued_at=timezone.now() - timedelta(days=1))
    done: list[int] = []

    def do(job: Measurement) -> None:
        done.append(job.pk)
        if job.pk == first.pk:
            raise AudioError("It is broken.")
        settle(job, State.READY)

    assert work_off(Measurement, do, most=2) == 2
    assert done == [third.pk, first.pk]
    assert work_off(Measurement, do) == 1
    states = dict(Measurement.objects.values_list("pk", "state"))
    assert states == {third.pk: State.READY, first.pk: State.FAILED, second.pk: State.READY}
    assert Measurement.objects.get(pk=first.pk).reason == "It is broken."


def test_a_turn_ends_while_a_service_is_away() -> None:
    rows = queued(2)

    def away(job: Measurement) -> None:
        raise IndexUnavailable("It is away.")

    assert work_off(Measurement, away) == 0
    for row in rows:
        row.refresh_from_db()
        assert (row.state, row.attempts, row.leased_by) == (State.QUEUED, 0, "")
    assert [row.reason for row in rows] == ["It is away.", ""]


ROOT = Path(__file__).parents[2]
TAKE = """
import django; django.setup()
from apps.jobs.locks import exclusive
with exclusive("thing") as alone:
    print(int(alone), flush=True)
    input()
"""


@contextmanager
def another_process() -> Iterator[tuple[subprocess.Popen[str], bool]]:
    """One that tries to take the lock, and keeps it until its input ends."""
    from django.db import connection

    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "DATABASE_URL": f"sqlite:///{connection.settings_dict['NAME']}",
    }
    with subprocess.Popen(
        [sys.executable, "-c", TAKE],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        yield process, process.stdout.readline() == "1\n"
        process.kill()


def test_a_lock_is_for_one_process_and_outlives_none() -> None:
    with another_process() as (holder, got):
        assert got
        with exclusive("thing") as alone:
            assert not alone
        with exclusive("another thing") as alone:
            assert alone
        holder.kill()
        holder.wait()
        with exclusive("thing") as alone:
            assert alone, "its holder is gone"
            with another_process() as (_, second):
                assert not second
    assert not Lock.objects.exists()


def test_a_lock_is_not_for_the_same_process_twice() -> None:
    with exclusive("thing") as outer:
        with exclusive("thing") as inner:
            assert (outer, inner) == (True, False)
        assert Lock.objects.filter(name="thing").exists(), "the inner one must not give it back"


def test_a_lock_ends_by_itself() -> None:
    later = timezone.now() + LEASE
    Lock.objects.create(name="thing", holder=ELSEWHERE, expires_at=later)
    with exclusive("thing") as alone:
        assert not alone
    Lock.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    with exclusive("thing") as alone:
        assert alone
        # Taken over meanwhile: it is not ours to give back.
        Lock.objects.update(holder=ELSEWHERE, expires_at=later)
    assert Lock.objects.get(name="thing").holder == ELSEWHERE


def test_a_lock_is_given_back_after_an_error() -> None:
    with pytest.raises(ZeroDivisionError), exclusive("thing"):
        raise ZeroDivisionError
    assert not Lock.objects.exists()


def test_a_clock_set_back_does_not_delay_dead_work() -> None:
    """Heartbeats and locks of an hour ahead are those of a clock that was set back since."""
    dead, busy = queued(2)
    claim(Measurement, [dead.pk, busy.pk])
    ahead = timezone.now() + timedelta(hours=1)
    Measurement.objects.update(leased_by=ELSEWHERE)
    Measurement.objects.filter(pk=dead.pk).update(heartbeat_at=ahead)
    assert requeue_lost(Measurement) == 1
    dead.refresh_from_db()
    assert dead.state == State.QUEUED
    Lock.objects.create(name="thing", holder=ELSEWHERE, expires_at=ahead)
    with exclusive("thing") as alone:
        assert alone
