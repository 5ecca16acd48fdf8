"""Spaces: listed with their size, dropped when retired, and filled each for itself."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command
from django.test import Client

from apps.analysis import worker
from apps.analysis.drift import find_drift
from apps.analysis.index import get_index
from apps.analysis.models import Space, SpaceState, TrackAnalysis
from apps.analysis.removing import drop_space
from apps.analysis.space_indexes import size_of
from apps.analysis.spaces import ensure_spaces, use_analyzer
from apps.analysis.worker import work
from apps.catalog.models import Track
from apps.jobs.models import State
from apps.voices.models import Enrolment, Speaker
from audiosearch.engine.analyzers.base import EncoderSpec
from audiosearch.engine.analyzers.registry import ANALYZERS
from audiosearch.engine.errors import Conflict, ModelUnavailable
from tests.fake_encoder import Fake
from tests.unit.conftest import AddTone

pytestmark = pytest.mark.django_db(transaction=True)
OLD, NEW = "fake-v1", "fake_two-v1"


class Absent(Fake):
    """An encoder whose model is on another machine."""

    spec = EncoderSpec(**{**Fake.spec.__dict__, "name": "absent"})

    def __init__(self, models_dir: Path, *, threads: int = 0) -> None:
        raise ModelUnavailable("The model of absent is not here.")


@pytest.fixture
def switched(add_tone: AddTone) -> Track:
    """A track that was analysed for two encoders, of which the second took over."""
    track = add_tone(440)
    use_analyzer("fake_two")
    work()
    return track


def spaces(*arguments: str) -> str:
    out = io.StringIO()
    call_command("spaces", *arguments, stdout=out)
    return out.getvalue()


def line_of(name: str) -> list[str]:
    return next(line.split() for line in spaces().splitlines() if line.startswith(f"{name} "))


def test_spaces_are_listed_with_their_size(add_tone: AddTone) -> None:
    assert len(spaces().splitlines()) == 1, "a head, and none yet"
    for hz in (400, 500, 600):
        add_tone(hz)
    assert line_of(OLD)[1:5] == ["embedding", "active", "3", "0"]
    assert size_of(Space.objects.get(name=OLD)) > 3 * 32 * 4
    # Nobody is enrolled, so that the index has no such space yet.
    assert line_of("resemblyzer-v1")[1:3] == ["speaker", "active"]
    assert line_of("waveform-v1")[1:] == ["waveform", "active", "3", "0", "0.0"]


def test_a_retired_space_is_dropped_whole(switched: Track) -> None:
    assert default_storage.listdir(f"vectors/{OLD}")[0]
    assert line_of(OLD)[1:4] == ["embedding", "retired", "1"]
    assert f"{OLD} is dropped." in spaces("drop", OLD, "--yes")
    assert not Space.objects.filter(name=OLD).exists()
    assert not TrackAnalysis.objects.filter(space__name=OLD).exists()
    assert OLD not in get_index().spaces()
    assert not default_storage.exists(f"vectors/{OLD}")
    assert get_index().window_counts(NEW) == {switched.pk: 1}
    assert find_drift() == []


def test_dropping_asks_first(switched: Track, monkeypatch: pytest.MonkeyPatch) -> None:
    for answer in ("", "no"):
        monkeypatch.setattr("builtins.input", lambda question, answer=answer: answer)
        with pytest.raises(CommandError, match="Nothing was dropped"):
            spaces("drop", OLD)
    assert get_index().window_counts(OLD) == {switched.pk: 1}
    monkeypatch.setattr("builtins.input", lambda question: "y")
    spaces("drop", OLD)
    assert OLD not in get_index().spaces()


def test_only_what_nobody_needs_is_dropped(switched: Track) -> None:
    with pytest.raises(CommandError, match=f"{NEW} is active"):
        spaces("drop", NEW, "--yes")
    with pytest.raises(CommandError, match="waveform-v1 is active"):
        spaces("drop", "waveform-v1", "--yes")
    with pytest.raises(CommandError, match='no space "nothing"'):
        spaces("drop", "nothing", "--yes")
    Space.objects.filter(name=OLD).update(state=SpaceState.BUILDING)
    with pytest.raises(CommandError, match=f"{OLD} is building"):
        spaces("drop", OLD, "--yes")
    assert get_index().window_counts(NEW) == get_index().window_counts(OLD) == {switched.pk: 1}


def test_a_space_that_a_worker_still_writes_is_not_dropped(switched: Track) -> None:
    old = Space.objects.get(name=OLD)
    old.analyses.update(state=State.RUNNING, leased_by="elsewhere:1")
    with pytest.raises(Conflict, match="being written"):
        drop_space(old)
    old.analyses.update(state=State.READY)
    drop_space(old)
    assert OLD not in get_index().spaces()


def test_voices_that_only_a_retired_space_knows_are_kept(switched: Track) -> None:
    """Erasing somebody erases what is enrolled: without the enrolment the recording would stay."""
    retired = Space.objects.create(
        name="voices-v0", kind="speaker", analyzer="ecapa", dimension=2, state=SpaceState.RETIRED
    )
    active = Space.objects.get(kind="speaker", state=SpaceState.ACTIVE)
    voice: dict[str, Any] = {
        "speaker": Speaker.objects.create(name="Ada"),
        "track": switched,
        "embedding": np.ones(2, "<f4").tobytes(),
        "net_ms": 5000,
        "snr_db": 30.0,
    }
    Enrolment.objects.create(space=retired, **voice)
    with pytest.raises(Conflict, match="alone knows 1"):
        drop_space(retired)
    Enrolment.objects.create(space=active, **voice)
    drop_space(retired)
    assert Enrolment.objects.get().space == active


def test_the_console_drops_after_asking(switched: Track, curator: Client) -> None:
    status = "/admin/analysis/space/"
    assert f"?drop={OLD}" in curator.get(status).content.decode()
    assert f"?drop={NEW}" not in curator.get(status).content.decode()
    assert f"Drop {OLD}?" in curator.get(f"{status}?drop={OLD}").content.decode()
    assert f"Drop {NEW}?" not in curator.get(f"{status}?drop={NEW}").content.decode()
    assert "is active" in curator.post(status, {"drop": NEW}, follow=True).content.decode()
    done = curator.post(status, {"drop": OLD}, follow=True).content.decode()
    assert f"{OLD} is dropped".capitalize() in done
    assert OLD not in get_index().spaces()


def test_before_the_first_recording_there_is_nothing_to_rebuild() -> None:
    out = io.StringIO()
    call_command("reindex", stdout=out)
    assert f"{OLD}: 0 tracks indexed anew" in out.getvalue()
    with pytest.raises(CommandError, match='no space "nothing"'):
        call_command("reindex", "nothing")


def test_a_missing_model_holds_up_no_other_space(
    add_tone: AddTone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And no turn of the worker begins from the start what another has done."""
    monkeypatch.setitem(ANALYZERS, "absent", f"{__name__}.Absent")
    track = add_tone(440)
    use_analyzer("absent")
    late = add_tone(550)
    waiting = TrackAnalysis.objects.filter(space__name="absent-v1")
    assert set(waiting.values_list("state", "attempts", "reason")) == {
        (State.QUEUED, 0, "The model of absent is not here.")
    }
    others = TrackAnalysis.objects.exclude(space__name="absent-v1")
    assert set(others.values_list("state", flat=True)) == {State.READY}
    assert set(get_index().window_counts(OLD)) == {track.pk, late.pk}
    before = list(TrackAnalysis.objects.order_by("pk").values())
    written: list[Any] = []
    monkeypatch.setattr(worker, "write", written.extend)
    for _ in range(3):
        assert work() == 0
    assert written == []
    assert list(TrackAnalysis.objects.order_by("pk").values()) == before
    assert Space.objects.get(name="absent-v1").state == SpaceState.BUILDING


def test_a_setting_that_names_another_analyzer_builds_its_space_beside(
    add_tone: AddTone, settings: Any
) -> None:
    def states() -> dict[str, str]:
        return dict(Space.objects.filter(kind="melody").values_list("name", "state"))

    add_tone(440)
    assert states() == {"melody-v2": "active"}
    before = settings.ANALYSES
    settings.ANALYSES = {**before, "melody": ("melody_both",)}
    ensure_spaces()
    assert states() == {"melody-v2": "active", "melody_both-v2": "building"}
    settings.ANALYSES = before
    ensure_spaces()
    assert states() == {"melody-v2": "active", "melody_both-v2": "retired"}, "given up"
    settings.ANALYSES = {**before, "melody": ("melody_both",)}
    ensure_spaces()
    work()
    assert states() == {"melody-v2": "retired", "melody_both-v2": "active"}
    settings.ANALYSES = before
    ensure_spaces()
    work()
    assert states() == {"melody-v2": "active", "melody_both-v2": "retired"}
