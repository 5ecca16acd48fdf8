"""Recordings whose file is gone: set aside once, and analysed again when the file is back."""

from pathlib import Path

import pytest
from django.test import Client

from apps.analysis.checking import check_and_repair, last_check
from apps.analysis.drift import FILE_BACK, FILE_MISSING, find_drift, repair
from apps.analysis.index import get_index
from apps.analysis.models import FILE_GONE
from apps.analysis.reconcile import reconcile
from apps.analysis.representations import load_kept
from apps.analysis.worker import work
from apps.catalog.models import Track
from apps.jobs.models import State
from audiosearch.engine.analyzers.base import Embeddings
from tests.unit.conftest import AddTone

pytestmark = pytest.mark.django_db(transaction=True)


def states(track: Track) -> set[tuple[str, str]]:
    return set(track.analyses.values_list("state", "reason"))


def kinds() -> list[tuple[str, int]]:
    return [(drift.kind, drift.item_id) for drift in find_drift()]


def take_away(track: Track) -> tuple[Path, bytes]:
    path = Path(track.file.path)
    content = path.read_bytes()
    path.unlink()
    return path, content


def test_a_missing_file_is_told_once_and_comes_back(add_tone: AddTone, member: Client) -> None:
    lost, other = add_tone(440), add_tone(880)
    path, content = take_away(lost)
    assert kinds() == [(FILE_MISSING, lost.pk)]
    repair(find_drift())
    assert states(lost) == {(State.FAILED, FILE_GONE)}
    assert states(other) == {(State.READY, "")}
    assert get_index().window_counts("fake-v1") == {other.pk: 1}
    told = member.get(f"/api/v1/tracks/{lost.pk}/").json()
    assert (told["state"], told["reason"]) == ("failed", FILE_GONE)
    assert kinds() == []
    reconcile()
    assert work() == 0
    path.write_bytes(content)
    assert kinds() == [(FILE_BACK, lost.pk)]
    repair(find_drift())
    assert states(lost) == {(State.QUEUED, "")}
    assert kinds() == []
    work()
    assert states(lost) == {(State.READY, "")}
    assert get_index().window_counts("fake-v1") == {lost.pk: 1, other.pk: 1}
    assert kinds() == []


def test_the_scheduled_check_does_so_by_itself(add_tone: AddTone) -> None:
    track = add_tone(440)
    path, content = take_away(track)
    counts = []
    for content_now in (None, None, content, None):
        if content_now:
            path.write_bytes(content_now)
        assert check_and_repair()
        checked = last_check()
        assert checked is not None
        counts.append((checked.drift[FILE_MISSING], checked.drift[FILE_BACK]))
    assert counts == [(1, 0), (0, 0), (0, 1), (0, 0)]
    work()
    assert states(track) == {(State.READY, "")}


def test_a_worker_that_finds_no_file_says_the_same(add_tone: AddTone) -> None:
    track = add_tone(440, listen=False)
    path, content = take_away(track)
    work()
    assert states(track) == {(State.FAILED, FILE_GONE)}
    assert kinds() == []
    path.write_bytes(content)
    repair(find_drift())
    work()
    assert states(track) == {(State.READY, "")}
    assert len(load_kept("fake-v1", track.pk, Embeddings).spans) == 1
