"""Requests that mean ill: elsewhere after the log-in, foreign headers, other folders' files."""

from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as in_force
from django.contrib.auth import get_user_model
from django.core.files.storage import default_storage
from django.test import Client

from apps.catalog.models import Track
from apps.catalog.services.adding import add_track
from tests.audio_files import tone, write_audio

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def ada() -> Any:
    return get_user_model().objects.create_user("ada", password="right")


def log_in(client: Client, **more: str) -> Any:
    return client.post("/login/", {"username": "ada", "password": "right", **more})


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example/",
        "//evil.example/",
        "///evil.example/",
        "http:///evil.example/",
        "/\\evil.example",
        "\\\\evil.example",
        "https:evil.example",
        "javascript:alert(1)",
        "data:text/html,x",
        " https://evil.example/",
        "\x08//evil.example/",
        "https://testserver@evil.example/",
        "https://testserver.evil.example/",
    ],
)
def test_nobody_is_sent_elsewhere_by_logging_in(ada: Any, elsewhere: str) -> None:
    answer = log_in(Client(), next=elsewhere)
    assert (answer.status_code, answer["Location"]) == (302, "/")
    by_address = Client().post(
        "/login/", {"username": "ada", "password": "right"}, query_params={"next": elsewhere}
    )
    assert (by_address.status_code, by_address["Location"]) == (302, "/")


def test_whoever_came_for_a_page_gets_there(ada: Any) -> None:
    assert log_in(Client(), next="/library/?q=rain")["Location"] == "/library/?q=rain"


def test_an_address_with_two_slashes_stays_here(client: Client) -> None:
    answer = client.get("//evil.example/library")
    assert not answer.headers.get("Location", "").startswith("//")


def test_the_session_is_out_of_reach_of_scripts_and_other_sites(ada: Any, settings: Any) -> None:
    client = Client()
    before = client.cookies.get(in_force.SESSION_COOKIE_NAME)
    session = log_in(client).cookies[in_force.SESSION_COOKIE_NAME]
    assert before is None
    assert session["httponly"]
    assert session["samesite"] == "Lax"
    assert not session["secure"]
    settings.SESSION_COOKIE_SECURE = True  # as HTTPS=1 sets it
    assert log_in(Client()).cookies[in_force.SESSION_COOKIE_NAME]["secure"]


def test_logging_in_changes_the_session(ada: Any) -> None:
    client = Client()
    first = log_in(client).cookies[in_force.SESSION_COOKIE_NAME].value
    client.post("/logout/")
    assert log_in(client).cookies[in_force.SESSION_COOKIE_NAME].value != first
    client.cookies[in_force.SESSION_COOKIE_NAME] = first
    assert client.get("/library/").status_code == 302


NAMES = [
    'a"; filename="b.html".wav',
    "a\r\nSet-Cookie: session=stolen\r\n.wav",
    "../../../etc/passwd.wav",
    "..\\..\\boot.ini.wav",
    "/etc/passwd.wav",
    "....//....//a.wav",
    "a\x00.wav",
    "%2e%2e%2fa.wav",
    "\u202egpj.wav",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_neither_a_header_nor_a_path(member: Client, tmp_path: Path, name: str) -> None:
    before = {path for path in tmp_path.parent.rglob("*") if "media" not in path.parts}
    track = add_track(source=write_audio(tmp_path / "a.wav", tone(1)), name=name).track
    stored = Path(default_storage.path(str(track.file.name)))
    assert stored.resolve().is_relative_to(Path(in_force.MEDIA_ROOT).resolve() / "tracks")
    assert not {"/", "\\", "\x00"} & set(track.original_name)
    answer = member.get(f"/api/v1/tracks/{track.pk}/audio?download=1")
    assert answer.status_code == 200
    assert not answer.cookies
    assert not {"\r", "\n"} & set(answer["Content-Disposition"])
    assert answer["Content-Disposition"].startswith("attachment")
    after = {path for path in tmp_path.parent.rglob("*") if "media" not in path.parts}
    assert after - before <= {tmp_path / "a.wav"}


@pytest.mark.parametrize(
    "address",
    [
        "/static/../secret_key",
        "/static/%2e%2e/secret_key",
        "/static/..%2f..%2fsecret_key",
        "/static//etc/passwd",
        "/api/v1/tracks/../../secret_key/audio",
        "/api/v1/tracks/%2e%2e%2fsecret_key/audio",
        "/media/tracks/",
        "/searches/../clip/",
    ],
)
def test_no_address_leads_out(curator: Client, address: str) -> None:
    answer = curator.get(address)
    assert answer.status_code in (301, 302, 404)
    if answer.status_code != 404:
        assert curator.get(answer["Location"]).status_code == 404
    secret = (Path(in_force.DATA_DIR) / "secret_key").read_bytes()
    assert secret not in answer.content


def test_a_hosts_name_is_not_believed(client: Client, settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["sounds.example"]
    assert client.get("/login/", headers={"host": "evil.example"}).status_code == 400
    forwarded = {"host": "sounds.example", "X-Forwarded-Host": "evil.example"}
    answer = client.get("/library/", headers=forwarded)
    assert "evil" not in answer["Location"]


def test_an_unknown_host_is_told_which_setting_to_change(client: Client, settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["internal.example"]
    page = client.get("/library/", headers={"host": "sounds.example"})
    assert (page.status_code, page["Content-Type"]) == (400, "text/html; charset=utf-8")
    told = client.get("/api/v1/tracks/", headers={"host": "sounds.example"})
    assert told.json()["error"]["code"] == "bad_request"
    for words in (page.content.decode(), told.json()["error"]["message"]):
        assert "“sounds.example”" in words
        assert "ALLOWED_HOSTS" in words
        assert "internal" not in words
    odd = client.get("/", headers={"host": "<script>alert(1)</script>"})
    assert (odd.status_code, b"<script>" in odd.content) == (400, False)


def test_a_form_from_an_unknown_origin_is_told_which_setting_to_change(ada: Any) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(ada)
    there = {"origin": "https://sounds.example"}
    page = client.post("/logout/", headers=there)
    script = client.post("/logout/", headers=there | {"accept": "application/json"})
    api = client.post("/api/v1/search/", {}, headers=there)
    referred = client.post("/logout/", headers={"referer": "https://sounds.example/x"}, secure=True)
    words = [page.content.decode(), referred.content.decode()]
    words += [answer.json()["error"]["message"] for answer in (script, api)]
    for said in words:
        assert "came from https://sounds.example, which" in said
        assert "CSRF_TRUSTED_ORIGINS" in said
    assert "Origin, Referer" in client.post("/logout/", secure=True).content.decode()
    assert "has expired" in client.post("/logout/").content.decode()


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/", "clip"),
        ("/voices/identify/", "clip"),
        ("/api/v1/tracks/", "file"),
        ("/api/v1/search/", "file"),
        ("/api/v1/speakers/identify/", "file"),
    ],
)
def test_a_second_file_is_refused_in_words(ada: Any, tmp_path: Path, path: str, field: str) -> None:
    client = Client()
    client.force_login(ada)
    sound = write_audio(tmp_path / "a.wav", tone(1))
    uploads = Path(in_force.FILE_UPLOAD_TEMP_DIR)
    before = set(uploads.iterdir())
    with sound.open("rb") as one, sound.open("rb") as other:
        answer = client.post(path, {field: [one, other]})
    assert answer.status_code == 400
    assert f"two files in “{field}”" in answer.content.decode()
    assert not Track.objects.exists()
    assert set(uploads.iterdir()) == before


def test_pages_take_several_files_where_they_ask_for_them(ada: Any, tmp_path: Path) -> None:
    client = Client()
    client.force_login(ada)
    sounds = [write_audio(tmp_path / f"{hz}.wav", tone(1, hz)) for hz in (300, 400)]
    with sounds[0].open("rb") as one, sounds[1].open("rb") as other:
        client.post("/add/", {"files": [one, other]})
    assert Track.objects.count() == 2


def test_another_site_cannot_post(ada: Any) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(ada)
    there = {"origin": "https://evil.example"}
    assert client.post("/add/", {}, headers=there).status_code == 403
    assert client.post("/api/v1/search/", {}, headers=there).status_code == 403
    assert client.post("/logout/", {}, headers=there).status_code == 403
    assert not Track.objects.exists()
