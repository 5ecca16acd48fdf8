"""Below a sub-path: where a request is taken to be, and that all addresses of answers are there."""

import io
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from django.urls import set_script_prefix

from audiosearch.web.bridge import environ_of
from tests.unit.conftest import AddTone

UPLOAD = "/api/v1/tracks/"


def place(path: str, **headers: str) -> tuple[str, str]:
    """SCRIPT_NAME and PATH_INFO of a request for a path."""
    sent = [(name.replace("_", "-").encode(), told.encode()) for name, told in headers.items()]
    scope = {"method": "GET", "path": path, "query_string": b"", "http_version": "1.1"}
    environ = environ_of(scope | {"headers": sent}, io.BytesIO(), 0)
    return environ["SCRIPT_NAME"], environ["PATH_INFO"]


@pytest.mark.parametrize("prefix", ["/sounds", "/our/sounds", "/~ada/so.unds"])
def test_the_path_may_come_whole_or_without_the_prefix(settings: Any, prefix: str) -> None:
    settings.URL_PREFIX = prefix
    for path in (UPLOAD, "/", "/api/v1/live/", "/sounds-of-rain/", "//evil.example/"):
        assert place(prefix + path) == (prefix, path)
        assert place(path) == (prefix, path)
    assert place(prefix) == (prefix, "/")
    assert place(UPLOAD, X_Forwarded_Prefix="/elsewhere") == (prefix, UPLOAD)


def test_a_prefix_that_a_proxy_took_off(settings: Any) -> None:
    rest = settings.REST_FRAMEWORK
    settings.REST_FRAMEWORK = rest | {"NUM_PROXIES": 1}
    assert place(UPLOAD, X_Forwarded_Prefix="/sounds") == ("/sounds", UPLOAD)
    assert place(UPLOAD, X_Forwarded_Prefix="/sounds/") == ("/sounds", UPLOAD)
    assert place(UPLOAD, X_Forwarded_Prefix="/made-up, /sounds") == ("/sounds", UPLOAD)
    assert place(UPLOAD) == ("", UPLOAD)
    # It is not taken off once more, or /x/admin/ would pass a proxy that closes /admin/.
    assert place("/x/admin/", X_Forwarded_Prefix="/x") == ("/x", "/x/admin/")
    settings.REST_FRAMEWORK = rest | {"NUM_PROXIES": 0}
    assert place(UPLOAD, X_Forwarded_Prefix="/sounds") == ("", UPLOAD)


@pytest.mark.parametrize(
    "told",
    [
        *("//evil.example", "https://evil.example", "sounds", "/", "/../x", "/a/./b", "/a//b"),
        *("/a b", "/a?b", '/"onload=x', "/a\\b", "/ä"),
    ],
)
def test_nonsense_is_no_prefix(settings: Any, told: str) -> None:
    settings.REST_FRAMEWORK = settings.REST_FRAMEWORK | {"NUM_PROXIES": 1}
    assert place(UPLOAD, X_Forwarded_Prefix=told) == ("", UPLOAD)


@pytest.fixture
def below() -> Iterator[Callable[..., Client]]:
    """A client whose requests came by /sounds, which Django's own would not tell `reverse`."""
    set_script_prefix("/sounds/")
    yield lambda **more: Client(SCRIPT_NAME="/sounds", **more)
    set_script_prefix("/")


def test_all_addresses_of_answers_are_below_it(
    below: Callable[..., Client], add_tone: AddTone, clip: Any
) -> None:
    track = add_tone(500)
    add_tone(510)
    client = below()
    get_user_model().objects.create_superuser("ada", password="right")
    asked = client.get("/library/?q=a")
    assert asked["Location"] == "/sounds/login/?next=/sounds/library/%3Fq%3Da"
    entered = client.post("/login/", {"username": "ada", "password": "right"})
    assert entered["Location"] == "/sounds/"
    assert {cookie["path"] for cookie in client.cookies.values()} == {"/sounds"}
    listed = client.get("/api/v1/tracks/?page_size=1").json()
    assert listed["next"] == "http://testserver/sounds/api/v1/tracks/?page=2&page_size=1"
    assert listed["results"][0]["audio"].startswith("/sounds/api/v1/tracks/")
    found = client.get(f"/api/v1/tracks/{track.pk}/similar").json()["hits"][0]
    assert found["track"]["audio"].startswith("/sounds/api/v1/tracks/")
    with clip(500).open("rb") as file:
        kept = client.post("/", {"clip": file, "top_k": 2})["Location"]
    assert kept.startswith("/sounds/searches/")
    pages = ["/", "/library/", "/add/", "/voices/", "/account/", "/admin/", "/api/docs/", "/none/"]
    for path in [*pages, f"/tracks/{track.pk}/", kept.removeprefix("/sounds")]:
        page = client.get(path).content.decode()
        led = re.findall(r'(?:href|src|action|hx-\w+|data-src|data-peaks)="(/[^"]*)', page)
        assert [address for address in led if not address.startswith("/sounds/")] == [], path
    schema = client.get("/api/schema/?format=json").json()
    assert schema["servers"] == [{"url": "/sounds"}]
    left = client.post("/logout/")
    assert left["Location"] == "/sounds/login/"
    assert {cookie["path"] for cookie in left.cookies.values()} == {"/sounds"}


def test_errors_below_it_keep_their_shape(below: Callable[..., Client], db: None) -> None:
    client = below(headers={"host": "evil.example"})
    assert client.get("/api/v1/tracks/").json()["error"]["code"] == "bad_request"
    assert 'href="/sounds/"' in client.get("/library/").content.decode()


def test_without_a_prefix_the_schema_names_no_server(client: Client, db: None) -> None:
    assert "servers" not in client.get("/api/schema/?format=json").json()
