"""Erased is erased: what goes along, what stays, and when files are written anew."""

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.core.files.storage import default_storage
from django.core.management import call_command
from django.db import connection
from django.test import Client

from apps.access.models import AuditEvent
from apps.analysis import rewriting
from apps.analysis.holdings import Holdings
from apps.analysis.index import get_index
from apps.analysis.models import Leftover, Space
from apps.analysis.queueing import reanalyze
from apps.analysis.rewriting import rewrite_due
from apps.analysis.worker import work
from apps.catalog.models import Collection, Track
from apps.catalog.services.deleting import delete_tracks
from apps.catalog.services.editing import edit_track
from apps.ops.first_start import sweep_index
from apps.search.models import Search
from apps.search.tasks import sweep_clips
from apps.voices.embedding import voice_space
from apps.voices.enrolling import enrol
from apps.voices.erasing import erase_speaker, what_is_erased
from apps.voices.models import Enrolment, OperatingPoint, Speaker
from audiosearch.engine.errors import IndexUnavailable
from audiosearch.engine.voice.speech import RATE
from tests.unit.conftest import AddTone
from tests.voices import speak


@pytest.fixture
def staff(transactional_db: None) -> Any:
    return get_user_model().objects.create_user("keeper", is_staff=True)


@pytest.fixture
def said(tmp_path: Path) -> Path:
    path = tmp_path / "said.wav"
    pause = np.random.default_rng(0).normal(0, 1e-4, RATE)
    soundfile.write(path, np.concatenate([pause, speak(4, 6), pause]), RATE)
    return path


@pytest.fixture
def ada(said: Path, staff: Any, synthesised_threshold: OperatingPoint) -> Speaker:
    speaker = Speaker.objects.create(name="Ada", consent_by="Ada", consent_on="2026-01-01")
    enrol(speaker=speaker, source=said, name="ada.wav", by=staff)
    return speaker


def _copy_of(ada: Speaker, said: Path) -> Track:
    """The same bytes in a collection of others."""
    room = Collection.objects.create(name="R", audience=Group.objects.create(name="insiders"))
    outsider = get_user_model().objects.create_user("insider")
    outsider.groups.add(room.audience)
    enrolled = ada.enrolments.get().track
    edit_track(track=enrolled, changes={"collection": None})
    source = Track.objects.get(pk=enrolled.pk)
    copy = Track.objects.get(pk=source.pk)
    copy.pk, copy.audience, copy.collection, copy.speaker = None, room.audience, room, None
    copy.file.name = default_storage.save("tracks/copy.wav", said.open("rb"))
    copy.save()
    return copy


def test_the_same_bytes_go_wherever_they_are(ada: Speaker, said: Path, staff: Any) -> None:
    copy, attributed = _copy_of(ada, said), _other(ada)
    told = what_is_erased(ada)
    assert (told.enrolled, told.copies, told.attributed) == (1, 1, 1)
    erase_speaker(speaker=ada, by=staff)
    assert list(Track.objects.all()) == [attributed]
    assert not default_storage.exists(str(copy.file.name))
    assert AuditEvent.objects.get(action="erase").detail == {"recordings": 2, "vectors": 1}


def _other(ada: Speaker) -> Track:
    """A track that names the speaker and was never enrolled."""
    track = Track.objects.create(
        file="tracks/other.wav", sha256="0", title="A talk with Ada", duration_ms=1, format="WAV",
        sample_rate=RATE, channels=1, size_bytes=1, speaker=ada,
    )  # fmt: skip
    return track


def _by_page(ada: Speaker, client: Client) -> None:
    address = f"/voices/speakers/{ada.pk}/erase/"
    asked = client.get(address).content.decode()
    assert "Keep them as ordinary recordings, without the name and the voice" in asked
    assert 'value="delete" id="id_recordings_0" checked' in asked
    assert client.post(address, {"recordings": "burn"}).status_code == 400
    assert client.post(address, {"recordings": "keep"}).status_code == 302


def _by_api(ada: Speaker, client: Client) -> None:
    address = f"/api/v1/speakers/{ada.pk}/"
    assert client.delete(address + "?recordings=burn").status_code == 400
    assert client.delete(address + "?recordings=keep").status_code == 204


def _by_console(ada: Speaker, client: Client) -> None:
    address = "/admin/voices/speaker/"
    asked = {"action": "erase", "_selected_action": [ada.pk]}
    page = client.post(address, asked).content.decode()
    assert "Ada: 1 enrolled recording" in page
    assert "Keep them as ordinary recordings, without the name and the voice" in page
    client.post(address, {**asked, "apply": "1", "recordings": "keep"})


@pytest.mark.parametrize("erase", [_by_page, _by_api, _by_console])
def test_recordings_are_kept_by_choice(
    ada: Speaker, staff: Any, erase: Callable[[Speaker, Client], None]
) -> None:
    """Without the voice, and without the name that enrolling wrote into their titles."""
    client, track = Client(), ada.enrolments.get().track
    client.force_login(staff)
    day = track.title.removeprefix("Ada, ")
    erase(ada, client)
    kept = Track.objects.get(pk=track.pk)
    assert (kept.title, kept.speaker) == (f"Recording, {day}", None)
    assert Path(kept.file.path).exists()
    assert not Speaker.objects.exists()
    assert not Enrolment.objects.exists()
    assert get_index().window_counts(voice_space()) == {}
    line = AuditEvent.objects.get(action="erase")
    assert line.detail == {"recordings": 0, "vectors": 1, "kept": 1}


def test_the_console_and_kept_results_forget_names(
    ada: Speaker, staff: Any, add_tone: AddTone, clip: Callable[..., Path]
) -> None:
    client, track = Client(), add_tone(440, name="Umbrage.wav")
    client.force_login(staff)
    with clip(440).open("rb") as file:
        kept = client.post("/", {"clip": file, "top_k": 10})
    assert "Umbrage" in client.get(kept["Location"]).content.decode()
    client.post(f"/admin/catalog/track/{track.pk}/delete/", {"post": "yes"})
    client.post(f"/admin/voices/speaker/{ada.pk}/delete/", {"post": "yes"})
    assert {entry.object_repr for entry in LogEntry.objects.all()} == {"erased"}
    assert not Track.objects.exists()
    assert "Umbrage" not in str(Search.objects.get().result)
    assert client.get(kept["Location"]).status_code == 200


def test_erasures_close_together_share_one_rewrite(
    add_tone: AddTone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a wait that grows with what is to be written; and what comes meanwhile has its own."""
    tracks = [add_tone(hz) for hz in (300, 400, 500)]
    rebuilt: list[str] = []
    index = get_index()
    rebuild = index.rebuild

    def counted(space: str, *args: Any) -> None:
        rebuild(space, *args)
        rebuilt.append(space)
        delete_tracks([tracks[1].pk])

    monkeypatch.setattr(index, "rebuild", counted)
    delete_tracks([tracks[0].pk])
    assert Leftover.objects.filter(space__kind="embedding").count() == 1
    assert rewrite_due() == []
    _age(rewriting.LEAST_WAIT + timedelta(seconds=1))
    monkeypatch.setattr(Holdings, "rewritten_per_s", 0.1)
    assert "fake-v1" not in rewrite_due()
    monkeypatch.setattr(Holdings, "rewritten_per_s", 50)
    assert "fake-v1" in rewrite_due()
    assert rebuilt.count("fake-v1") == 1
    assert Leftover.objects.filter(space__name="fake-v1").count() == 1  # of the one meanwhile
    monkeypatch.undo()
    call_command("rewrite")
    assert not Leftover.objects.exists()
    assert set(get_index().window_counts("fake-v1")) == {tracks[2].pk}


def test_what_is_analysed_anew_is_found_meanwhile(add_tone: AddTone) -> None:
    """Its vectors are in the index alone, so a rewrite waits for it, though not for ever."""
    erased, again = add_tone(300), add_tone(400)
    reanalyze([again.pk])
    delete_tracks([erased.pk])
    _age(timedelta(hours=1))
    assert "fake-v1" not in rewrite_due()
    assert set(get_index().window_counts("fake-v1")) == {again.pk}
    work()
    assert "fake-v1" in rewrite_due()
    assert set(get_index().window_counts("fake-v1")) == {again.pk}
    reanalyze([again.pk])
    Space.objects.get(name="fake-v1").leftovers.create()
    _age(timedelta(days=2))
    assert "fake-v1" in rewrite_due()


def _age(by: timedelta) -> None:
    for row in Leftover.objects.all():
        Leftover.objects.filter(pk=row.pk).update(erased_at=row.erased_at - by)


def test_a_rewrite_that_broke_off_is_done_again(
    add_tone: AddTone, monkeypatch: pytest.MonkeyPatch
) -> None:
    delete_tracks([add_tone(300).pk])
    with monkeypatch.context() as broken:
        broken.setattr(get_index(), "rebuild", _dies)
        with pytest.raises(KeyboardInterrupt):
            rewrite_due(at_once=True)
    assert Space.objects.get(name="fake-v1").leftovers.exists()
    assert "fake-v1" in rewrite_due(at_once=True)
    assert not Leftover.objects.exists()


def test_the_database_does_not_wait_for_the_index(
    add_tone: AddTone, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Away:
        def __getattr__(self, name: str) -> Any:
            raise IndexUnavailable("The vector index does not answer.")

    delete_tracks([add_tone(300).pk])
    _age(timedelta(hours=1))
    with monkeypatch.context() as away:
        away.setattr(rewriting, "index_of", lambda space: Away())
        rewriting.rewrite_in_background()
    assert {row.space.name for row in Leftover.objects.all() if row.space} == {
        "fake-v1",
        "landmarks-v1",
        "melody-v2",
    }
    assert not Leftover.objects.filter(space=None).exists()


def _dies(*args: Any) -> None:
    raise KeyboardInterrupt


def test_while_the_database_is_read_its_traces_stay_marked(
    add_tone: AddTone, tmp_path: Path
) -> None:
    """A reader in the middle of the log keeps it from being cut."""
    track = add_tone(300, name="Xylem.wav")
    reader = connection.copy()
    try:
        with reader.cursor() as cursor:
            cursor.execute("BEGIN DEFERRED")
            cursor.execute("SELECT count(*) FROM catalog_track")
            delete_tracks([track.pk])
            with connection.cursor() as impatient:
                impatient.execute("PRAGMA busy_timeout = 50")
            assert "the database" not in rewrite_due(at_once=True)
            assert Leftover.objects.filter(space=None).exists()
            cursor.execute("ROLLBACK")
    finally:
        reader.close()
        connection.close()
    assert "the database" in rewrite_due(at_once=True)
    folder = Path(connection.settings_dict["NAME"]).parent
    names = [path for path in folder.glob("test*.sqlite3*") if b"Xylem" in path.read_bytes()]
    assert names == []


def test_collections_that_were_half_dropped_are_swept(tmp_path: Path) -> None:
    """A power cut in the middle of dropping one leaves a folder that the index does not know."""
    known, unknown = tmp_path / "collections" / "known", tmp_path / "collections" / "unknown"
    for folder in (known, unknown):
        (folder / "partitions").mkdir(parents=True)
    (known / "schema.json").touch()
    assert sweep_index(tmp_path) == 1
    assert list((tmp_path / "collections").iterdir()) == [known]


def test_an_upload_that_was_cut_off_goes_within_the_hour_after_a_day(
    settings: Any, tmp_path: Path, transactional_db: None
) -> None:
    settings.FILE_UPLOAD_TEMP_DIR = str(tmp_path)
    old, young = tmp_path / "old.upload", tmp_path / "young.upload"
    for path in (old, young):
        path.touch()
    os.utime(old, (old.stat().st_atime, old.stat().st_mtime - 25 * 3600))
    sweep_clips()
    assert list(tmp_path.iterdir()) == [young]
