"""The pages without a browser: rights, forms, states, and every page that can be empty."""

import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.files.storage import default_storage
from django.test import Client, override_settings

from apps.analysis.worker import work
from apps.catalog.models import Track
from apps.catalog.services.adding import add_track
from apps.search.excerpt import EXCERPT
from apps.search.models import Search
from apps.search.recent import sweep_clips
from tests.audio_files import tone, write_audio
from tests.unit.conftest import AddTone

pytestmark = pytest.mark.django_db(transaction=True)


def search(client: Client, path: Path, **fields: object) -> object:
    with path.open("rb") as file:
        return client.post("/", {"clip": file, "top_k": 5, **fields})


def test_anonymous_visitors_are_sent_to_log_in(client: Client) -> None:
    for address in ("/", "/library/", "/add/", "/tracks/1/", "/tracks/1/similar/"):
        answer = client.get(address)
        assert answer.status_code == 302
        assert answer["Location"].startswith("/login/?next=")
    with override_settings(WHO_MAY_SEARCH="anyone"):
        assert client.get("/").status_code == 200


def test_a_demo_brings_an_excerpt_to_try(member: Client) -> None:
    assert "noisy excerpt" not in member.get("/").content.decode()
    assert member.get("/excerpt/").status_code == 404
    EXCERPT.parent.mkdir()
    try:
        EXCERPT.write_bytes(b"a sound")
        assert 'data-excerpt="/excerpt/"' in member.get("/").content.decode()
        assert b"".join(member.get("/excerpt/")) == b"a sound"  # type: ignore[arg-type]
        assert Client().get("/excerpt/").status_code == 302
    finally:
        shutil.rmtree(EXCERPT.parent)


def policy(answer: Any) -> set[str]:
    (header,) = [value for name, value in answer.items() if name == "Content-Security-Policy"]
    return {directive.strip() for directive in header.split(";")}


def test_pages_may_load_nothing_from_elsewhere(member: Client, add_tone: AddTone) -> None:
    everywhere = {
        *("default-src 'self'", "img-src 'self' data:", "media-src 'self' blob:"),
        *("connect-src 'self' blob:", "object-src 'none'", "base-uri 'none'"),
        *("form-action 'self'", "frame-ancestors 'none'"),
    }
    track = add_tone(440)
    for address in ("/", "/nowhere/", "/login/", "/api/docs/", "/api/v1/tracks/", "/admin/"):
        assert policy(member.get(address)) == everywhere, address
    audio = member.get(f"/api/v1/tracks/{track.pk}/audio")
    assert policy(audio) == {"default-src 'none'", "sandbox"}


def test_empty_pages_say_what_to_do(member: Client) -> None:
    assert "catalogue is empty" in member.get("/").content.decode()
    assert "Nothing here yet" in member.get("/library/").content.decode()
    assert "No recording is like that" in member.get("/library/?q=zzz").content.decode()


def test_a_search_has_an_address(member: Client, add_tone: AddTone, tmp_path: Path) -> None:
    add_tone(400, tags=["<b>bold</b>"])
    clip = write_audio(tmp_path / "q.wav", tone(2, 410))
    answer = search(member, clip)
    assert answer.status_code == 302
    page = member.get(answer["Location"]).content.decode()
    assert "400" in page
    assert "&lt;b&gt;bold" in page
    again = member.post(answer["Location"], {"top_k": 5, "kinds": ["speech"]})
    page = member.get(again["Location"]).content.decode()
    assert "kind: speech" in page
    stranger = Client()
    stranger.force_login(get_user_model().objects.create_user("stranger"))
    assert stranger.get(answer["Location"]).status_code == 200
    assert stranger.post(answer["Location"] + "forget/").status_code == 404
    sound = member.get(answer["Location"] + "clip/", headers={"range": "bytes=0-3"})
    assert b"".join(sound.streaming_content) == b"RIFF"


def test_what_cannot_be_searched_is_said_on_the_page(member: Client, tmp_path: Path) -> None:
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"nonsense")
    answer = search(member, bad)
    assert answer.status_code == 415
    assert "not audio we can read" in answer.content.decode()
    assert member.post("/", {"top_k": 5}).status_code == 400
    assert not Search.objects.exists()


@override_settings(RECENT_SEARCHES_KEPT=2)
def test_old_searches_go_with_their_clips(
    member: Client, add_tone: AddTone, tmp_path: Path
) -> None:
    add_tone(400)
    for hz in (410, 420, 430):
        search(member, write_audio(tmp_path / f"{hz}.wav", tone(1, hz)))
    assert sorted(Search.objects.values_list("clip_name", flat=True)) == ["420.wav", "430.wav"]
    assert len(default_storage.listdir("queries")[1]) == 2
    kept = Search.objects.first()
    assert kept is not None
    member.post(f"/searches/{kept.pk}/forget/")
    assert len(default_storage.listdir("queries")[1]) == 1


def test_adding_many_reports_each(curator: Client, tmp_path: Path) -> None:
    good = write_audio(tmp_path / "good.wav", tone(1))
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"nonsense")
    with good.open("rb") as one, bad.open("rb") as two:
        fields = {"files": [one, two], "new_collection": "New", "tags": "a,b"}
        page = curator.post("/add/", fields).content.decode()
    assert "added" in page
    assert "bad.wav: This is not audio" in page
    track = Track.objects.get()
    assert str(track.collection) == "New"
    assert track.tags.count() == 2
    with good.open("rb") as one:
        answer = curator.post("/add/", {"files": one}, headers={"accept": "application/json"})
    assert answer.json()["outcome"] == "already there"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": "opera"}, "Kind: Select a valid choice. opera is not one of"),
        ({"new_collection": "x" * 201}, "Ensure this value has at most 200 characters"),
        ({"collection": "99"}, "Collection: Select a valid choice"),
        ({}, "Choose at least one file."),
    ],
)
def test_what_is_wrong_with_the_form_is_said_to_the_script(
    member: Client, tmp_path: Path, fields: dict[str, str], message: str
) -> None:
    script = {"accept": "application/json"}
    if fields:
        with write_audio(tmp_path / "good.wav", tone(1)).open("rb") as file:
            answer = member.post("/add/", {"files": file, **fields}, headers=script)
    else:
        answer = member.post("/add/", headers=script)
    assert answer.status_code == 400
    assert answer.json()["outcome"] == "refused"
    assert message in answer.json()["message"]
    assert not Track.objects.exists()


def test_the_library_finds_sorts_and_polls(member: Client, add_tone: AddTone) -> None:
    one = add_tone(400, listen=False)
    page = member.get("/library/").content.decode()
    assert f"ids={one.pk}" in page
    assert "hx-get" in member.get(f"/library/states/?ids={one.pk}").content.decode()
    work()
    after = member.get(f"/library/states/?ids={one.pk}").content.decode()
    assert "Ready" in after
    assert "hx-get" not in after
    for query in ("q=400", "kind=sound", "state=ready", "sort=title"):
        assert "400" in member.get(f"/library/?{query}").content.decode()


@pytest.mark.parametrize("address", ["/library/?sort=", "/api/v1/tracks/?ordering="])
def test_equal_tracks_have_one_order(member: Client, add_tone: AddTone, address: str) -> None:
    tracks = [add_tone(hz, listen=False, fields={"title": "Same"}) for hz in (400, 410, 420)]
    Track.objects.update(duration_ms=1000, added_at=tracks[0].added_at)
    as_added = [track.pk for track in tracks]
    for sort in ("title", "duration_ms", "added_at", "-duration_ms", "-added_at", ""):
        answer = member.get(f"{address}{sort}")
        if address.startswith("/api"):
            shown = [row["id"] for row in answer.json()["results"]]
        else:
            shown = [track.pk for track in answer.context["page"]]
        is_reversed = not sort or sort.startswith("-")
        assert shown == (as_added[::-1] if is_reversed else as_added), sort


@pytest.mark.parametrize("address", ["/library/", "/api/v1/tracks/"])
def test_a_tag_is_found_in_any_case(member: Client, add_tone: AddTone, address: str) -> None:
    add_tone(400, listen=False, tags=["Übung"])
    add_tone(410, listen=False, tags=["bell"])
    answer = member.get(address, {"tag": " ÜBUNG"}).content.decode()
    assert "400" in answer
    assert "410" not in answer


def test_a_track_can_be_edited_heard_again_and_deleted(curator: Client, add_tone: AddTone) -> None:
    track = add_tone(400)
    address = f"/tracks/{track.pk}/"
    fields = {"title": "New title", "kind": "music", "tags": "x"}
    assert curator.post(address, fields).status_code == 302
    track.refresh_from_db()
    assert (track.title, track.kind, track.edited_fields) == (
        "New title",
        "music",
        ["kind", "title"],
    )
    assert curator.post(address + "relisten/").status_code == 302
    assert set(track.analyses.values_list("state", flat=True)) == {"queued"}
    assert "cannot be undone" in curator.get(address + "delete/").content.decode()
    assert Track.objects.exists()
    curator.post(address + "delete/")
    assert not Track.objects.exists()


def test_members_may_not_touch_what_is_not_theirs(member: Client, tmp_path: Path) -> None:
    path = write_audio(tmp_path / "a.wav", tone(1))
    track = add_track(source=path, name="a.wav").track
    for address in ("delete/", "relisten/"):
        assert member.post(f"/tracks/{track.pk}/{address}").status_code == 403
    assert member.post(f"/tracks/{track.pk}/", {"title": "x"}).status_code == 403
    chosen = {"action": "delete", "track": track.pk, "confirmed": "on"}
    assert member.post("/library/bulk/", chosen).status_code == 403
    assert Track.objects.exists()


def test_bulk_actions_ask_before_they_delete(curator: Client, add_tone: AddTone) -> None:
    ids = [add_tone(hz).pk for hz in (400, 500)]
    curator.post("/library/bulk/", {"action": "tag", "track": ids, "tags": "new"})
    assert Track.objects.filter(tags__name="new").count() == 2
    asked = curator.post("/library/bulk/", {"action": "delete", "track": ids})
    assert "Delete 2 recordings?" in asked.content.decode()
    assert Track.objects.count() == 2
    curator.post("/library/bulk/", {"action": "delete", "track": ids, "confirmed": "on"})
    assert not Track.objects.exists()


def test_similar_comes_as_a_page_and_as_a_part(member: Client, add_tone: AddTone) -> None:
    one = add_tone(400)
    add_tone(410)
    page = member.get(f"/tracks/{one.pk}/similar/").content.decode()
    assert "<html" in page
    part = member.get(f"/tracks/{one.pk}/similar/?top_k=5&part=1", headers={"hx-request": "true"})
    assert "<html" not in part.content.decode()
    assert "410" in part.content.decode()
    assert member.get(f"/tracks/{one.pk}/similar/?top_k=999").status_code == 400
    filtered = member.get(f"/tracks/{one.pk}/similar/?kinds=speech").content.decode()
    assert "kind: speech" in filtered
    assert member.get("/library/states/?ids=" + "9" * 30).status_code == 200


def test_a_clip_without_search_is_swept(member: Client, add_tone: AddTone, tmp_path: Path) -> None:
    add_tone(400)
    for hz in (410, 420):
        search(member, write_audio(tmp_path / f"{hz}.wav", tone(1, hz)))
    get_user_model().objects.all().delete()
    assert sweep_clips() == 0
    for name in default_storage.listdir("queries")[1]:
        os.utime(default_storage.path(f"queries/{name}"), (0, 0))
    assert sweep_clips() == 2


def test_the_filters_of_the_library_are_labelled(member: Client) -> None:
    page = member.get("/library/").content.decode()
    for label in ("Words", "Collection", "Kind", "Tag", "State", "Sort"):
        found = re.search(rf'<label[^>]* for="([^"]+)"[^>]*>{label}</label>', page)
        assert found, label
        assert f'id="{found[1]}"' in page, label
