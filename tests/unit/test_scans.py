"""Scans as people ask for them: by the API, on the command line and on the page; whose they are."""

import csv
import io
import json
import socket
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser, Group
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from apps.analysis.worker import work
from apps.catalog.models import Collection, Track
from apps.catalog.services.adding import add_track
from apps.catalog.services.deleting import delete_tracks
from apps.catalog.services.editing import edit_track
from apps.catalog.services.retiring import retire_tracks
from apps.jobs.models import State
from apps.monitoring import services
from apps.monitoring.models import Scan
from apps.monitoring.play_logs import play_log_of
from apps.monitoring.services import reconcile_scans, scan_queued, sweep_scans
from audiosearch.engine.analyzers.landmarks.spectrum import SAMPLE_RATE
from audiosearch.engine.arrays import FloatArray
from tests.audio_files import write_audio
from tests.landmark_sounds import made_song

pytestmark = pytest.mark.django_db(transaction=True)
API = "/api/v1/scans/"


@pytest.fixture
def tracks(tmp_path: Path) -> list[Track]:
    """Two songs; the name of the second is what a spreadsheet would run."""
    for seed, title in ((1, 'One "live"'), (2, "=Two, or, more")):
        path = write_audio(tmp_path / f"{seed}.flac", made_song(seed, seconds=14), SAMPLE_RATE)
        add_track(source=path, name=f"{seed}.flac", fields={"title": title, "artist": "Ada"})
    work()
    return list(Track.objects.order_by("pk"))


@pytest.fixture
def mix(tmp_path: Path) -> Path:
    """Something unknown, eight seconds of the first from 6 s on, the second, the first again."""
    first, second = made_song(1, seconds=14), made_song(2, seconds=14)
    parts = [made_song(9, seconds=6), _cut(first, 3, 11), second, _cut(first, 5, 11)]
    return write_audio(tmp_path / "my mix.flac", np.concatenate(parts), SAMPLE_RATE)


def _cut(song: FloatArray, begin_s: int, end_s: int) -> FloatArray:
    return song[begin_s * SAMPLE_RATE : end_s * SAMPLE_RATE]


def send(client: Client, path: Path, **fields: Any) -> Any:
    with path.open("rb") as file:
        return client.post(API, {"file": file, **fields})


def files() -> list[str]:
    return default_storage.listdir("scans")[1] if default_storage.exists("scans") else []


def another(name: str, **more: Any) -> Client:
    client = Client()
    client.force_login(get_user_model().objects.create_user(name, **more))
    return client


def test_a_recording_is_scanned_and_told(member: Client, tracks: list[Track], mix: Path) -> None:
    answer = send(member, mix)
    assert answer.status_code == 202
    asked = answer.json()
    assert answer["Location"].endswith(f"{API}{asked['id']}/")
    assert (asked["state"], asked["name"], asked["play_log"]) == ("queued", "my mix.flac", None)
    assert abs(asked["duration_ms"] - 34_000) < 50
    assert len(files()) == 1
    log_address = f"{answer['Location']}play-log/"
    assert member.get(log_address).status_code == 409
    page = member.get(f"/scans/{asked['id']}/").content.decode()
    assert "Waiting for its turn" in page
    assert scan_queued() == 1
    assert files() == [], "the file goes when the scan ends"
    told = member.get(answer["Location"]).json()
    assert (told["state"], told["scanned_ms"]) == ("ready", told["duration_ms"])
    assert member.get(API).json()["count"] == 1
    log = member.get(told["play_log"]).json()
    plays = log["plays"]
    one, two = tracks
    assert [play["track"]["id"] for play in plays] == [one.pk, two.pk, one.pk]
    assert [play["play"] for play in plays] == [1, 1, 2]
    for play, (start, end, at) in zip(plays, [(6, 14, 3), (14, 28, 0), (28, 34, 5)], strict=True):
        assert abs(play["start_ms"] - start * 1000) < 500
        assert abs(play["end_ms"] - end * 1000) < 500
        assert abs(play["track_start_ms"] - at * 1000) < 500
        assert play["probability"] >= 0.9
    assert plays[1]["coverage"] > 0.93
    assert abs(plays[0]["coverage"] - 8 / 14) < 0.06
    assert [gap["start_ms"] for gap in log["gaps"]] == [0]
    _assert_formats(member, log_address, asked["id"], one)
    _assert_page(member, asked["id"], one)
    assert member.delete(answer["Location"]).status_code == 204
    assert not Scan.objects.exists()


def _assert_formats(member: Client, address: str, pk: str, one: Track) -> None:
    told = member.options(address, headers={"accept": "text/csv"})
    assert (told.status_code, told.content) == (200, b"")
    table = member.get(address + "?format=csv")
    assert table["Content-Type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(table.content.decode())))
    assert [row["title"] for row in rows] == ['One "live"', "'=Two, or, more", 'One "live"']
    assert rows[0]["track"] == str(one.pk)
    assert abs(float(rows[0]["start_s"]) - 6) < 0.5
    cue = member.get(address + "?format=cue").content.decode()
    assert cue.startswith('TITLE "my mix.flac"\r\nFILE "my mix.flac" WAVE\r\n')
    assert cue.count("TRACK") == 4
    assert '  TRACK 02 AUDIO\r\n    TITLE "One \'live\'"\r\n    PERFORMER "Ada"\r\n' in cue
    assert "INDEX 01 00:00:00\r\n" in cue
    for kind in ("csv", "cue"):
        file = member.get(f"/scans/{pk}/play-log.{kind}")
        assert "attachment" in file["Content-Disposition"]
        assert file.content == member.get(f"{address}?format={kind}").content
    assert json.loads(member.get(f"/scans/{pk}/play-log.json").content)["plays"]
    assert member.get(f"/scans/{pk}/play-log.exe").status_code == 404


def _assert_page(member: Client, pk: str, one: Track) -> None:
    page = member.get(f"/scans/{pk}/").content.decode()
    assert page.count('class="play"') == 3
    assert "One &quot;live&quot;" in page
    assert f"/tracks/{one.pk}/?from_ms=" in page
    assert "(play 2)" in page
    assert "Nothing known" in page
    moment = member.get(f"/tracks/{one.pk}/?from_ms=3000&to_ms=9000").content.decode()
    assert 'data-start-ms="3000" data-end-ms="9000"' in moment
    assert (
        "data-start-ms" not in member.get(f"/tracks/{one.pk}/?from_ms=x&to_ms=9").content.decode()
    )


def test_what_is_private_is_no_play(
    member: Client, tracks: list[Track], mix: Path, tmp_path: Path
) -> None:
    """Neither of a scan that finds it, nor of one that found it before it was hidden or deleted."""
    first = send(member, mix).json()
    assert scan_queued() == 1
    hidden = Collection.objects.create(name="Hidden", audience=Group.objects.create(name="few"))
    edit_track(track=tracks[0], changes={"collection": hidden})
    second = send(member, mix).json()
    stranger = another("stranger")
    for pk in (first["id"], second["id"]):
        for client in (stranger, another(f"curator {pk}", is_staff=True), Client()):
            for address in (f"{API}{pk}/", f"{API}{pk}/play-log/", f"/scans/{pk}/"):
                assert client.get(address).status_code in (302, 401, 404), address
            assert client.delete(f"{API}{pk}/").status_code in (401, 404)
    assert stranger.get(API).json()["count"] == 0
    assert scan_queued() == 1
    logs = [member.get(f"{API}{pk}/play-log/").json() for pk in (first["id"], second["id"])]
    for log in logs:
        assert [play["track"]["id"] for play in log["plays"]] == [tracks[1].pk]
        assert [round(gap["start_ms"] / 1000) for gap in log["gaps"]] == [0, 28]
        assert "live" not in str(log)
    kept = [Scan.objects.get(pk=pk).plays for pk in (first["id"], second["id"])]
    assert [len(plays) for plays in kept] == [3, 1], "the index was asked with the filter"
    delete_tracks([tracks[1].pk])
    log = member.get(f"{API}{first['id']}/play-log/").json()
    assert log["plays"] == []
    page = member.get(f"/scans/{first['id']}/").content.decode()
    assert "Nothing of the catalogue was heard" in page


def test_a_copy_that_was_taken_out_is_told_as_the_one_that_is_kept(tracks: list[Track]) -> None:
    one, two = tracks
    place = {"track_start_ms": 0, "track_end_ms": 8000}
    told = {"start_ms": 0, "end_ms": 8000, "speed": 1.0, "probability": 1.0, "aligned": 9, "of": 9}
    other = {"track": two.pk, **place}
    plays = [
        {**told, "track": one.pk, **place, "copies": [other]},
        {**told, **other, "start_ms": 9000, "end_ms": 17_000, "copies": []},
    ]
    assert [len(play.copies) for play in play_log_of(20_000, plays, None).plays] == [1, 0]
    retire_tracks(track_ids=[one.pk], replaced_by=two)
    log = play_log_of(20_000, plays, None)
    assert [(play.track.id, play.play, play.copies) for play in log.plays] == [
        (two.pk, 1, ()),
        (two.pk, 2, ()),
    ]
    Track.objects.filter(pk=two.pk).update(audience=Group.objects.create(name="insiders"))
    assert play_log_of(20_000, plays, AnonymousUser()).plays == []


def test_filters_are_asked_with(member: Client, tracks: list[Track], mix: Path) -> None:
    place = Collection.objects.create(name="Place")
    edit_track(track=tracks[1], changes={"collection": place})
    asked = send(member, mix, collection=str(place.pk), added_from="2020-01-01T00:00:00Z").json()
    assert asked["filters"]["collections"] == [place.pk]
    scan_queued()
    log = member.get(f"{API}{asked['id']}/play-log/").json()
    assert [play["track"]["id"] for play in log["plays"]] == [tracks[1].pk]


def test_what_cannot_be_scanned_is_refused_in_words(
    member: Client, tmp_path: Path, settings: Any, clip: Callable[..., Path]
) -> None:
    silence = write_audio(tmp_path / "silence.wav", np.zeros(3 * SAMPLE_RATE), SAMPLE_RATE)
    nonsense, empty = tmp_path / "nonsense.mp3", tmp_path / "empty.wav"
    nonsense.write_bytes(b"nonsense" * 99)
    empty.write_bytes(b"")
    whole = clip(440, 3)
    cut_off = tmp_path / "cut off.wav"
    cut_off.write_bytes(whole.read_bytes()[:50])
    for path, code in (
        (silence, "silent_audio"),
        (nonsense, "unsupported_audio"),
        (empty, "empty_audio"),
        (cut_off, "corrupt_audio"),
    ):
        answer = send(member, path)
        assert answer.status_code in (415, 422), path
        assert answer.json()["error"]["code"] == code
    settings.MAX_SCAN_DURATION_S = 2
    assert send(member, whole).json()["error"]["code"] == "too_long"
    with silence.open("rb") as file:
        page = member.post("/scans/", {"file": file})
    assert page.status_code == 422
    assert "the limit is 2 s" in page.content.decode()
    assert member.post("/scans/", {}).status_code == 400
    assert member.post(API, {}).json()["error"]["details"]["file"]
    settings.MAX_SCAN_DURATION_S, settings.MAX_SCANS_EACH = 60, 1
    assert send(member, whole).status_code == 202
    assert send(member, whole).json()["error"]["code"] == "busy"
    assert len(files()) == 1
    assert Client().post(API, {}).status_code == 401


def test_work_breaks_off_and_is_cancelled(
    member: Client,
    tracks: list[Track],
    mix: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    asked = send(member, mix).json()
    rows = Scan.objects.filter(pk=asked["id"])
    dead = f"{socket.gethostname()}:999999"
    rows.update(state=State.RUNNING, leased_by=dead, attempts=1, scanned_ms=9000)
    page = member.get(f"/scans/{asked['id']}/", headers={"HX-Request": "true"}).content.decode()
    assert "Scanned 0:09.0 of 0:34.0" in page
    assert "<html" not in page
    reconcile_scans()
    assert rows.get().state == State.QUEUED, "its worker was killed"
    monkeypatch.setattr(services, "BEAT_S", 0)
    beat, told = services.heartbeat, []

    def beat_and_cancel(scans: list[Scan], **values: int) -> int:
        told.append(values["scanned_ms"])
        if len(told) == 5:
            assert member.delete(f"{API}{asked['id']}/").status_code == 204
        return beat(scans, **values)

    monkeypatch.setattr(services, "heartbeat", beat_and_cancel)
    scan_queued()
    assert len(told) == 5, "nothing is done any more for what was cancelled"
    assert (files(), rows.exists()) == ([], False)
    monkeypatch.setattr(services, "heartbeat", beat)
    gone = send(member, mix).json()
    default_storage.delete(str(Scan.objects.get().file.name))
    scan_queued()
    failed = member.get(f"{API}{gone['id']}/").json()
    assert (failed["state"], failed["reason"]) == ("failed", "Its file is gone; send it again.")
    page = member.get(f"/scans/{gone['id']}/").content.decode()
    assert "Its file is gone" in page
    assert "Send it again" in page


def test_old_scans_and_strays_are_swept(
    member: Client, mix: Path, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    pending = send(member, mix).json()["id"]
    stray = default_storage.save("scans/stray.wav", mix.open("rb"))  # type: ignore[arg-type]
    long_ago = timezone.now() - timedelta(days=settings.SCANS_KEPT_DAYS + 1)
    common = {"user": Scan.objects.get().user, "size_bytes": 1, "duration_ms": 1}
    Scan.objects.create(name="old", state=State.READY, finished_at=long_ago, **common)
    Scan.objects.create(name="new", state=State.READY, finished_at=timezone.now(), **common)
    assert sweep_scans() == 0, "it may be about to be known"
    monkeypatch.setattr(services, "YOUNG", timedelta(0))
    assert sweep_scans() == 1
    assert not default_storage.exists(stray)
    assert len(files()) == 1
    assert set(Scan.objects.values_list("name", flat=True)) == {"my mix.flac", "new"}
    assert Scan.objects.filter(pk=pending).exists()


def test_an_empty_catalogue_says_what_to_do(member: Client, mix: Path) -> None:
    assert "The catalogue is empty" in member.get("/scans/").content.decode()
    asked = send(member, mix).json()
    scan_queued()
    told = member.get(f"{API}{asked['id']}/").json()
    assert told["state"] == "failed"
    assert "add some, and scan again" in told["reason"]


def test_the_page_takes_a_recording(member: Client, tracks: list[Track], mix: Path) -> None:
    place = Collection.objects.create(name="Place")
    assert "Place" in member.get("/scans/").content.decode()
    with mix.open("rb") as file:
        sent = member.post("/scans/", {"file": file, "collections": [place.pk]})
    assert sent.status_code == 302
    with mix.open("rb") as file:
        by_htmx = member.post("/scans/", {"file": file}, headers={"HX-Request": "true"})
    assert by_htmx["HX-Redirect"].startswith("/scans/")
    refused = member.post("/scans/", {}, headers={"HX-Request": "true"})
    assert "Choose or drop a recording" in refused.content.decode()
    listed = member.get("/scans/").content.decode()
    assert listed.count("Cancel the scan of my mix.flac") == 2
    assert member.post(f"{sent['Location']}forget/").status_code == 302
    assert Scan.objects.count() == 1
    scan_queued()
    page = member.get(by_htmx["HX-Redirect"])
    assert 'style="' not in page.content.decode(), "the policy of the pages forbids it"


def test_the_command_scans_here_and_now(tracks: list[Track], mix: Path, tmp_path: Path) -> None:
    out = io.StringIO()
    call_command("scan", str(mix), stdout=out)
    assert f'One "live" (track {tracks[0].pk}), from 0:0' in out.getvalue()
    assert not Scan.objects.exists()
    hidden = Collection.objects.create(name="Hidden", audience=Group.objects.create(name="few"))
    edit_track(track=tracks[0], changes={"collection": hidden})
    get_user_model().objects.create_user("bob")
    out, said = io.StringIO(), io.StringIO()
    nonsense = tmp_path / "nonsense.wav"
    nonsense.write_bytes(b"nonsense")
    with pytest.raises(CommandError, match="1 of 2 files"):
        call_command(
            *("scan", str(nonsense), str(mix), "--json", "--as", "bob"), stdout=out, stderr=said
        )
    told = json.loads(out.getvalue())
    assert [play["track"]["id"] for play in told["plays"]] == [tracks[1].pk]
    assert "This is not audio" in said.getvalue()
    for kind, begin in (("--csv", "start_s,end_s,track"), ("--cue", 'TITLE "my mix.flac"')):
        out = io.StringIO()
        call_command("scan", str(mix), kind, stdout=out)
        assert out.getvalue().startswith(begin)
    with pytest.raises(CommandError, match="no user eve"):
        call_command("scan", str(mix), "--as", "eve")
