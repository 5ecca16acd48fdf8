"""The page of a search: answers one after the other, what is kept of them, and adding the sound."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.core.cache import caches
from django.core.files.storage import default_storage
from django.test import Client, override_settings

from apps.catalog.models import Collection, Track
from apps.catalog.services.editing import edit_track
from apps.search.models import Search
from tests.unit.conftest import AddTone

pytestmark = pytest.mark.django_db(transaction=True)
Clip = Callable[..., Path]
PART = {"HX-Request": "true"}
NONE = {"same_tune": "none", "same_voice": "none"}


@pytest.fixture(autouse=True)
def recordings_first(settings: Any) -> Any:
    ours = {"same_recording": "tests.fake_answerers.Recording"}
    settings.ANSWERS = {**settings.ANSWERS, **ours}
    return settings


def search(client: Client, path: Path, **fields: Any) -> str:
    with path.open("rb") as file:
        answer = client.post("/", {"clip": file, "top_k": 5, **fields})
    assert answer.status_code == 302
    return str(answer["Location"])


def verdicts() -> dict[str, str]:
    return {name: kept["verdict"] for name, kept in Search.objects.get().answers.items()}


def test_without_a_script_all_comes_at_once(member: Client, add_tone: AddTone, clip: Clip) -> None:
    add_tone(400)
    address = search(member, clip(400))
    assert verdicts() == {"same_recording": "match", "sounds_alike": "maybe", **NONE}
    page = member.get(address).content.decode()
    assert "This is <a" in page
    assert "from 0:00.0" in page
    assert 'data-start-ms="0"' in page
    assert "100 %</strong>" in page
    assert "Nobody is enrolled here." in page
    assert 'hx-trigger="load' not in page


def test_with_a_script_each_answer_is_asked_for_and_kept(
    member: Client, add_tone: AddTone, clip: Clip
) -> None:
    add_tone(400)
    address = search(member, clip(400), later="1")
    waiting = dict.fromkeys(["sounds_alike", "same_tune", "same_voice"], "waiting")
    assert verdicts() == {"same_recording": "match", **waiting}
    page = member.get(address).content.decode()
    assert "This is <a" in page
    assert "</strong>" not in page.partition('id="answer-sounds_alike"')[2]
    for name in waiting:
        assert f'hx-post="{address}answers/{name}/" hx-trigger="load' in page
    part = member.post(f"{address}answers/sounds_alike/", headers=PART).content.decode()
    assert "<html" not in part
    assert "100 %</strong>" in part
    assert 'hx-swap-oob="innerHTML">Sounds alike: 400.' in part
    assert verdicts()["sounds_alike"] == "maybe"
    for name in NONE:
        assert member.post(f"{address}answers/{name}/").status_code == 302
    assert verdicts() == {"same_recording": "match", "sounds_alike": "maybe", **NONE}
    assert 'hx-trigger="load' not in member.get(address).content.decode()


def test_answers_are_asked_for_by_whoever_searched(
    member: Client, add_tone: AddTone, clip: Clip
) -> None:
    add_tone(400)
    address = search(member, clip(400), later="1")
    stranger = Client()
    stranger.force_login(get_user_model().objects.create_user("stranger"))
    page = stranger.get(address).content.decode()
    assert "This is <a" in page
    assert 'id="answer-sounds_alike"' not in page
    assert stranger.post(f"{address}answers/sounds_alike/").status_code == 404
    assert stranger.post(f"{address}add/").status_code == 404
    assert member.post(f"{address}answers/melody/").status_code == 404
    assert member.get(f"{address}answers/sounds_alike/").status_code == 405


def test_an_answer_is_part_of_the_search_once(
    member: Client, add_tone: AddTone, clip: Clip, settings: Any
) -> None:
    add_tone(400)
    caches["limits"].clear()
    settings.SEARCHES_PER_MINUTE = 1
    ours = {"lacking": "tests.fake_answerers.Lacking"}
    settings.ANSWERS = {**settings.ANSWERS, **ours}
    address = search(member, clip(400), later="1")
    for name in ("sounds_alike", "same_voice", "lacking"):
        assert member.post(f"{address}answers/{name}/", headers=PART).status_code == 200, name
    again = member.post(f"{address}answers/sounds_alike/", headers=PART)
    assert again.status_code == 200, "it is read back"
    page = member.get(address).content.decode()
    assert "Its model is not here." in page
    assert "Ask again" in page
    assert member.post(f"{address}answers/lacking/", headers=PART).status_code == 429


def test_a_clip_that_nobody_can_read_is_refused_at_once(member: Client, tmp_path: Path) -> None:
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"nonsense")
    for fields in ({}, {"later": "1"}):
        with bad.open("rb") as file:
            answer = member.post("/", {"clip": file, "top_k": 5, **fields})
        assert answer.status_code == 415
        assert "not audio we can read" in answer.content.decode()


def test_kept_answers_show_to_each_what_they_may_know(
    member: Client, add_tone: AddTone, clip: Clip
) -> None:
    group = Group.objects.create(name="insiders")
    private = Collection.objects.create(name="Room", audience=group)
    track = add_tone(400, fields={"title": "xsecret"}, collection=private)
    get_user_model().objects.get(username="member").groups.add(group)
    address = search(member, clip(400))
    kept = Search.objects.get()
    assert "xsecret" not in str(kept.answers)
    assert str(track.pk) in str(kept.answers)
    assert "This is <a" in member.get(address).content.decode()
    stranger = Client()
    stranger.force_login(get_user_model().objects.create_user("stranger"))
    page = stranger.get(address).content.decode()
    assert "xsecret" not in page
    assert f"/tracks/{track.pk}/" not in page
    assert "Same recording: none" in page
    edit_track(track=track, changes={"collection": None, "title": "open"})
    assert "open</a>" in stranger.get(address).content.decode()


def test_a_sound_that_is_missing_can_be_added(
    member: Client, add_tone: AddTone, clip: Clip, curator: Client
) -> None:
    add_tone(400)
    address = search(member, clip(3000))
    assert verdicts()["same_recording"] == "none"
    assert f'action="{address}add/"' in member.get(address).content.decode()
    with override_settings(WHO_MAY_ADD="staff"):
        assert f'action="{address}add/"' not in member.get(address).content.decode()
        assert member.post(f"{address}add/").status_code == 403
    added = member.post(f"{address}add/")
    track = Track.objects.exclude(title="400").get()
    assert added["Location"] == f"/tracks/{track.pk}/"
    assert (track.title, track.added_by.username) == ("clip-3000", "member")
    assert default_storage.exists(Search.objects.get().clip.name), "the search keeps its own"
    again = member.post(f"{address}add/", follow=True).content.decode()
    assert "in the catalogue already" in again
    assert Track.objects.count() == 2


def test_the_microphone_asks_only_what_is_cheap(
    member: Client, add_tone: AddTone, settings: Any
) -> None:
    assert (
        'data-lookup="/api/v1/search/?answers=same_recording"' in member.get("/").content.decode()
    )
    settings.ANSWERS = {"sounds_alike": settings.ANSWERS["sounds_alike"]}
    assert "data-lookup" not in member.get("/").content.decode()
