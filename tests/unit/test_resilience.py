"""What is missing, gone or retired holds up nothing else, and is concluded nothing from."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.utils import timezone

from apps.analysis.checking import check_and_repair
from apps.analysis.drift import StorageUnavailable, find_drift
from apps.analysis.index import get_index
from apps.analysis.leasing import lease_tracks
from apps.analysis.models import Space, TrackAnalysis
from apps.analysis.reconcile import reconcile
from apps.analysis.spaces import active_space, use_analyzer
from apps.analysis.sync import sync_changes
from apps.analysis.worker import work
from apps.catalog.services.deleting import delete_tracks
from apps.catalog.services.editing import edit_track
from apps.jobs.locks import exclusive
from apps.jobs.models import Lock, State
from apps.voices.holdings import drop_strays, sync_soon
from apps.voices.models import Enrolment, Speaker
from audiosearch.engine.analyzers.registry import ANALYZERS
from audiosearch.engine.analyzers.sessions import open_session
from audiosearch.engine.errors import ModelUnavailable
from audiosearch.engine.indexes.payloads import EnrolmentPayload
from tests.unit.conftest import AddTone

pytestmark = pytest.mark.django_db(transaction=True)


def enrolled_in(space: Space, track: Any) -> Enrolment:
    speaker = Speaker.objects.create(name="Ada", consent_by="Ada", consent_on="2026-01-01")
    embedding = np.eye(1, space.dimension, dtype="<f4").tobytes()
    told = {"net_ms": 3000, "snr_db": 20.0, "index_stale": True}
    return Enrolment.objects.create(
        speaker=speaker, track=track, space=space, embedding=embedding, **told
    )


def test_no_voice_outlives_its_recording_in_a_retired_space(add_tone: AddTone) -> None:
    track = add_tone(440)
    space = active_space("speaker")
    enrolled_in(space, track)
    sync_soon()
    Space.objects.filter(pk=space.pk).update(state="retired")
    assert len(get_index().window_counts(space.name)) == 1
    delete_tracks([track.pk])
    assert [drift.kind for drift in find_drift()] == ["unknown to database"]
    drop_strays()
    assert get_index().window_counts(space.name) == {}


def test_speaker_spaces_of_0_1_0_are_not_built_for_ever(add_tone: AddTone) -> None:
    older = Space.objects.create(name="ecapa-v1", kind="speaker", analyzer="ecapa", dimension=192)
    Space.objects.create(name="resemblyzer-v1", kind="speaker", analyzer="resemblyzer")
    add_tone(440)
    older.refresh_from_db()
    assert (older.state, active_space("speaker").name) == ("retired", "resemblyzer-v1")


def test_an_encoder_that_is_gone_keeps_nobody_from_adding(
    add_tone: AddTone, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.VOICE_ENCODER = "gone"
    track = add_tone(440)
    assert TrackAnalysis.objects.get(track=track, space__name="fake-v1").state == State.READY
    use_analyzer("fake_two")
    work()
    monkeypatch.delitem(ANALYZERS, "fake")
    assert add_tone(450).analyses.filter(state=State.READY).count() == 4
    reconcile()
    assert find_drift() == []


def test_a_storage_that_is_not_mounted_empties_nothing(add_tone: AddTone) -> None:
    track = add_tone(440)
    recordings = Path(settings.MEDIA_ROOT) / "tracks"
    away = recordings.rename(recordings.with_name("away"))
    with pytest.raises(StorageUnavailable, match="mounted"):
        find_drift()
    assert not check_and_repair()
    with pytest.raises(CommandError, match="mounted"):
        call_command("check_index")
    assert get_index().window_counts("fake-v1") == {track.pk: 1}
    away.rename(recordings)
    assert find_drift() == []


def test_a_retired_space_is_neither_filled_nor_synced_until_it_is_used_again(
    add_tone: AddTone,
) -> None:
    track = add_tone(440)
    old = active_space()
    use_analyzer("fake_two")
    work()
    TrackAnalysis.objects.filter(space=old).update(state=State.QUEUED)
    assert lease_tracks([old.pk], 5) == {}
    TrackAnalysis.objects.filter(space=old).update(state=State.READY)
    edit_track(track=track, changes={"kind": "music"})
    stale = TrackAnalysis.objects.filter(space=old, index_stale=True)
    sync_changes()
    assert stale.exists()
    use_analyzer("fake")
    assert active_space().name == "fake_two-v1", "the index does not know of the edit yet"
    reconcile()
    assert active_space().name == "fake-v1"
    assert not stale.exists()


def test_a_damaged_model_says_so(tmp_path: Path) -> None:
    path = tmp_path / "encoder.onnx"
    path.write_bytes(b"half of it")
    with pytest.raises(ModelUnavailable, match="pull its encoder again"):
        open_session(path, 1)


def test_a_lock_is_renewed_while_it_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.jobs.locks.RENEW_S", 0.05)
    soon = timezone.now() + timedelta(seconds=1)
    with exclusive("thing", lease=timedelta(seconds=0.5)) as alone:
        assert alone
        while Lock.objects.get(name="thing").expires_at < soon:
            assert timezone.now() < soon + timedelta(seconds=30)
    assert not Lock.objects.exists()


def test_an_outdated_layout_is_known(add_tone: AddTone) -> None:
    add_tone(440)
    assert get_index().outdated("fake-v1", EnrolmentPayload.layout)
    assert not get_index().outdated("nothing", EnrolmentPayload.layout)
