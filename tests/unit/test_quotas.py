"""No more is taken in than the operator allows, of each user and in all, and it is told first."""

import csv
import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client

from apps.catalog.models import Track
from apps.catalog.quotas import (
    STEP_BYTES,
    quota_in_all,
    quota_of,
    refuse_without_room,
    refused_quota,
    told_quota,
)
from apps.catalog.services import adding
from apps.catalog.services.adding import add_track
from apps.catalog.services.deleting import delete_tracks
from audiosearch.engine.errors import OverQuota
from tests.audio_files import tone, write_audio
from tests.unit.conftest import AddTone

pytestmark = pytest.mark.django_db(transaction=True)
ASK = "/api/v1/quota/"


@pytest.fixture
def ada(transactional_db: None) -> User:
    return User.objects.create_user("ada")


@pytest.fixture
def add(add_tone: AddTone) -> Callable[..., Track]:
    """add(hz, user): a track that is not analysed, of about 64 KB for each second."""
    return lambda hz, by=None, seconds=1: add_tone(hz, seconds, listen=False, added_by=by)


def stored() -> int:
    return len(list(Path(default_storage.path("tracks")).rglob("*.wav")))


def test_each_user_has_so_many_recordings_and_deleting_makes_room(
    add: Any, ada: User, settings: Any
) -> None:
    settings.MAX_TRACKS_EACH = 2
    kept = [add(hz, ada) for hz in (300, 310)]
    with pytest.raises(OverQuota, match="You have used 2 of 2 recordings, so there is no room"):
        add(320, ada)
    assert (Track.objects.count(), stored()) == (2, 2)
    add(330, User.objects.create_user("bob"))
    delete_tracks([kept[0].pk])
    assert add(320, ada).added_by == ada


def test_each_user_has_so_many_bytes(add: Any, ada: User, settings: Any) -> None:
    settings.MAX_BYTES_EACH = 2 * add(300, ada).size_bytes
    with pytest.raises(OverQuota, match="of 0 GB"):
        add(310, ada, seconds=1.1)
    add(310, ada)  # to the last byte
    with pytest.raises(OverQuota):
        add(320, ada, seconds=0.2)


def test_the_same_bytes_again_cost_nothing(add: Any, ada: User, settings: Any) -> None:
    settings.MAX_TRACKS_EACH = settings.MAX_TRACKS = 1
    assert add(300, ada) == add(300, ada)


def test_limits_in_all_bind_everybody_and_those_of_each_no_administrator(
    add: Any, ada: User, settings: Any
) -> None:
    admin = User.objects.create_superuser("admin")
    curator = User.objects.create_user("curator", is_staff=True)
    settings.MAX_TRACKS_EACH = 1
    for number, by in enumerate((ada, curator, admin, admin, None, None)):
        add(300 + 10 * number, by)
    for by in (ada, curator, AnonymousUser()):
        with pytest.raises(OverQuota):
            add(500, by)
    settings.MAX_TRACKS = 6
    for by in (admin, None):
        with pytest.raises(OverQuota, match="holds 6 of 6 recordings"):
            add(500, by)
    with pytest.raises(OverQuota, match="This server is full, so it cannot take another; ask"):
        add(500, User.objects.create_user("bob"))


def test_two_at_once_do_not_both_take_the_last_place(
    tmp_path: Path, ada: User, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.MAX_TRACKS_EACH = 1
    both, inspect = Barrier(2, timeout=20), adding.inspect

    def when_both_are_here(*args: Any, **kwargs: Any) -> Any:
        both.wait()  # each has been told before that there is room
        return inspect(*args, **kwargs)

    monkeypatch.setattr(adding, "inspect", when_both_are_here)

    def added(hz: int) -> bool:
        try:
            path = write_audio(tmp_path / f"{hz}.wav", tone(1, hz))
            return add_track(source=path, name=path.name, added_by=ada).created
        except OverQuota:
            return False
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as people:
        assert sorted(people.map(added, (300, 310))) == [False, True]
    assert (Track.objects.count(), stored()) == (1, 1)


class Unread(io.RawIOBase):
    """A body that nobody may look at."""

    def read(self, *_: Any) -> bytes:
        raise AssertionError("The body was read.")


@pytest.mark.parametrize("path", ["/api/v1/tracks/", "/add/"])
def test_what_has_no_room_is_refused_before_it_is_sent(
    client: Client, add: Any, ada: User, settings: Any, path: str
) -> None:
    client.force_login(ada)
    add(300, ada)
    settings.MAX_BYTES_EACH = 2**20
    body: Any = {"wsgi.input": Unread(), "CONTENT_LENGTH": str(2**20 + 2**16)}
    answer = client.post(path, {"x": "y"}, **body)
    assert answer.status_code == 413
    assert "there is no room for another of 1 MB; delete some" in answer.content.decode()
    as_json = client.post(path, {"x": "y"}, headers={"accept": "application/json"}, **body).json()
    assert as_json["error"]["code"] == "quota_exceeded"


def test_curators_are_held_by_the_console_and_by_enrolling(
    curator: Client, add: Any, settings: Any, tmp_path: Path
) -> None:
    settings.MAX_TRACKS_EACH = 1
    first, second = (write_audio(tmp_path / f"{hz}.wav", tone(1, hz)) for hz in (300, 310))
    console = "/admin/catalog/track/add/"
    with first.open("rb") as file:
        assert curator.post(console, {"file": file, "kind": ""}).status_code == 302
    assert Track.objects.get().added_by == User.objects.get(username="curator")
    for address in (console, "/voices/speakers/1/enrol/", "/api/v1/speakers/1/enrolments/"):
        with second.open("rb") as file:
            answer = curator.post(address, {"file": file, "kind": ""})
        assert answer.status_code == 413, address
        assert "1 of 1 recordings" in answer.content.decode(), address


def test_a_track_that_was_there_stays_whose_it_was(curator: Client, add: Any) -> None:
    track = add(300)
    with track.file.open("rb") as file:
        curator.post("/admin/catalog/track/add/", {"file": file, "kind": ""})
    track.refresh_from_db()
    assert track.added_by is None


def test_the_page_tells_what_is_used_and_stops_when_nothing_is_left(
    client: Client, add: Any, ada: User, settings: Any, tmp_path: Path
) -> None:
    client.force_login(ada)
    assert "You have used" not in client.get("/add/").content.decode()
    settings.MAX_TRACKS_EACH, settings.MAX_BYTES_EACH = 2, 5 * 2**30
    add(300, ada)
    page = client.get("/add/").content.decode()
    assert "You have used 0 of 5 GB and 1 of 2 recordings." in page
    assert "disabled" not in page
    files = [write_audio(tmp_path / f"{hz}.wav", tone(1, hz)).open("rb") for hz in (310, 320, 330)]
    page = client.post("/add/", {"files": files}).content.decode()
    assert page.count("You have used 0 of 5 GB and 2 of 2 recordings, so there is no room") == 2
    assert "330.wav</strong> refused: It was not tried" in page
    assert page.count("disabled") == 3
    assert Track.objects.count() == 2


def test_programs_ask_before_they_send(client: Client, add: Any, ada: User, settings: Any) -> None:
    client.force_login(ada)
    size = add(300, ada).size_bytes
    add(310)
    told = {"tracks": 1, "bytes": size, "max_tracks": None, "max_bytes": None}
    assert client.get(ASK).json() == {**told, "message": "", "refusal": ""}
    settings.MAX_TRACKS_EACH, settings.MAX_BYTES_EACH = 40, 2**30
    told |= {"max_tracks": 40, "max_bytes": 2**30}
    message = "You have used 0 of 1 GB and 1 of 40 recordings."
    assert client.get(ASK).json() == {**told, "message": message, "refusal": ""}
    refusal = client.get(ASK, {"bytes": 2**30}).json()["refusal"]
    assert "so there is no room for another of 1,024 MB" in refusal
    assert client.get(ASK, {"bytes": "many"}).status_code == 400


def test_nobody_is_told_what_others_have(
    add: Any, ada: User, client: Client, settings: Any
) -> None:
    """Neither in words, nor by asking whether this or that size would still fit."""
    settings.WHO_MAY_ADD = "anyone"
    settings.MAX_TRACKS, settings.MAX_BYTES = 7, 8 * STEP_BYTES
    other = User.objects.create_user("other")
    before = [refused_quota(ada, size) for size in range(STEP_BYTES, 9 * STEP_BYTES, STEP_BYTES)]
    add(300, other)
    add(310)
    after = [refused_quota(ada, size) for size in range(STEP_BYTES, 9 * STEP_BYTES, STEP_BYTES)]
    assert before == after
    with pytest.raises(OverQuota):
        refuse_without_room(ada, 8 * STEP_BYTES)  # what is added is counted exactly
    assert told_quota(ada) == ""
    told = client.get(ASK).json()
    assert set(told.values()) == {None, ""}
    assert (
        told_quota(User(is_superuser=True))
        == "The catalogue holds 0 of 0.5 GB and 2 of 7 recordings."
    )
    settings.MAX_TRACKS = 2
    assert client.get(ASK).json()["refusal"].startswith("This server is full")


def test_an_import_stops_with_the_sentence_and_goes_on_later(tmp_path: Path, settings: Any) -> None:
    settings.MAX_TRACKS = 2
    folder, report, out = tmp_path / "sounds", tmp_path / "report.csv", io.StringIO()
    folder.mkdir()
    for hz in (300, 310, 320, 330):
        write_audio(folder / f"{hz}.wav", tone(0.5, hz))
    with pytest.raises(CommandError, match=r"Stopped\. The catalogue holds 2 of 2 .* goes on"):
        call_command("import", str(folder), report=report, stdout=out)
    assert "2 added, 0 already there, 0 refused, 2 passed over" in out.getvalue()
    with report.open(newline="") as file:
        rows = {Path(row["file"]).name: row for row in csv.DictReader(file)}
    assert [rows[f"{hz}.wav"]["outcome"] for hz in (300, 330)] == ["added", "passed over"]
    assert "holds 2 of 2 recordings" in rows["320.wav"]["reason"]
    assert rows["330.wav"]["reason"] == "It was not tried, as there was no room any more."
    settings.MAX_TRACKS = 4
    call_command("import", str(folder), stdout=out)
    assert "2 added, 2 already there" in out.getvalue()


def test_the_demo_ends_where_there_is_no_room(settings: Any) -> None:
    settings.MAX_TRACKS, out = 1, io.StringIO()
    call_command("demo", stdout=out)
    assert "Demo: 1 sounds and tunes added" in out.getvalue()
    assert "The catalogue holds 1 of 1 recordings" in out.getvalue()


def test_counting_reads_no_rows(ada: User, django_assert_num_queries: Any, settings: Any) -> None:
    with django_assert_num_queries(0):
        refuse_without_room(ada, 1)
    settings.MAX_TRACKS = settings.MAX_BYTES_EACH = 2**30
    with django_assert_num_queries(2) as asked:
        refuse_without_room(ada, 1)
    with connection.cursor() as cursor:
        for query in asked.captured_queries:
            plan = cursor.execute(f"EXPLAIN QUERY PLAN {query['sql']}").fetchall()
            assert all("USING COVERING INDEX track_by_owner" in str(step) for step in plan), plan
    assert quota_of(ada).tracks == quota_in_all().tracks == 0
