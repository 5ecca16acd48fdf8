"""Searching too often: 429 in words, for pages and API alike, counted for all processes."""

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser
from django.core.cache import caches
from django.db import connection
from django.test import Client, RequestFactory

from apps.access.throttles import SearchThrottle, wait_before_search
from tests.unit.conftest import AddTone

pytestmark = pytest.mark.django_db(transaction=True)
Clip = Callable[[float, float], Path]
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def three_a_minute(settings: Any) -> None:
    caches["limits"].clear()
    settings.SEARCHES_PER_MINUTE = 3


def use_up(client: Client) -> None:
    """Searches of nothing: refused as they are, they count all the same."""
    for _ in range(3):
        assert client.post("/api/v1/search/", {}).status_code == 400


def test_the_api_says_when_to_come_back(member: Client, clip: Clip, add_tone: AddTone) -> None:
    add_tone(440)
    for _ in range(3):
        with clip(440, 2).open("rb") as file:
            assert member.post("/api/v1/search/", {"file": file}).status_code == 200
    with clip(440, 2).open("rb") as file:
        answer = member.post("/api/v1/search/", {"file": file})
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    error = answer.json()["error"]
    assert (set(error), error["code"]) == ({"code", "message", "details"}, "throttled")
    assert error["message"]


@pytest.mark.parametrize("what", ["verify", "identify", "diarize"])
def test_recognising_voices_counts_too(member: Client, what: str) -> None:
    address = f"/api/v1/speakers/{what}/"
    for _ in range(3):
        assert member.post(address, {}).status_code == 400
    assert member.post(address, {}).status_code == 429
    assert member.post("/api/v1/search/", {}).status_code == 429
    assert member.get("/api/v1/speakers/diarize/?track=1").status_code == 404


def test_a_scan_counts_and_cancelling_one_does_not(member: Client) -> None:
    for _ in range(3):
        assert member.post("/api/v1/scans/", {}).status_code == 400
    assert member.post("/api/v1/scans/", {}).status_code == 429
    assert member.delete(f"/api/v1/scans/{uuid4()}/").status_code == 404


def test_pages_say_it_in_words(member: Client, add_tone: AddTone) -> None:
    track = add_tone(440)
    use_up(member)
    voices = ("/voices/identify/", "/voices/compare/", f"/voices/tracks/{track.pk}/")
    for address in ("/", *voices, "/scans/"):
        answer = member.post(address, {})
        assert answer.status_code == 429, address
        assert 1 <= int(answer.headers["Retry-After"]) <= 60
        assert "<html" in answer.content.decode()
        assert "searched as often as one may" in answer.content.decode()
        part = member.post(address, {}, headers={"HX-Request": "true"})
        assert part.status_code == 429
        assert "<html" not in part.content.decode()
        assert f"Wait {part.headers['Retry-After']} second" in part.content.decode()


def test_a_result_that_is_searched_again_counts(
    member: Client, add_tone: AddTone, clip: Clip
) -> None:
    add_tone(440)
    with clip(440, 2).open("rb") as file:
        found = member.post("/", {"clip": file, "top_k": 5})
    for _ in range(2):
        assert member.post(found["Location"], {"top_k": 5}).status_code == 302
    assert member.post(found["Location"], {"top_k": 5}).status_code == 429
    assert member.get(found["Location"]).status_code == 200


def test_what_takes_no_model_is_free(member: Client, add_tone: AddTone) -> None:
    one = add_tone(440)
    page, api = f"/tracks/{one.pk}/similar/", f"/api/v1/tracks/{one.pk}/similar"
    for _ in range(5):
        assert member.get("/").status_code == 200
        assert member.get(page + "?top_k=5&start_ms=&end_ms=").status_code == 200
        assert member.get(api).status_code == 200
    for address in (page, api, page):
        assert member.get(address + "?top_k=5&start_ms=100").status_code == 200
    for address in (page, api):
        assert member.get(address + "?top_k=5&end_ms=900").status_code == 429
        assert member.get(address + "?top_k=5").status_code == 200


def test_everybody_is_counted_alone(member: Client, settings: Any) -> None:
    use_up(member)
    other = Client()
    other.force_login(get_user_model().objects.create_user("other"))
    assert other.post("/api/v1/search/", {}).status_code == 400
    settings.WHO_MAY_SEARCH = "anyone"
    here, there = Client(REMOTE_ADDR="198.51.100.1"), Client(REMOTE_ADDR="198.51.100.2")
    use_up(here)
    invented = {"X-Forwarded-For": "203.0.113.9"}
    assert here.post("/api/v1/search/", {}, headers=invented).status_code == 429
    assert here.post("/", {}).status_code == 429
    assert there.post("/api/v1/search/", {}).status_code == 400


def test_behind_a_proxy_its_word_counts(settings: Any) -> None:
    settings.WHO_MAY_SEARCH = "anyone"
    settings.REST_FRAMEWORK = settings.REST_FRAMEWORK | {"NUM_PROXIES": 1}

    def search(forwarded: str) -> int:
        headers = {"X-Forwarded-For": forwarded}
        return Client().post("/api/v1/search/", {}, headers=headers).status_code

    for invented in ("1.1.1.1", "2.2.2.2", "3.3.3.3"):
        assert search(f"{invented}, 198.51.100.1") == 400
    assert search("4.4.4.4, 198.51.100.1") == 429
    assert search("198.51.100.2") == 400


def test_whoever_may_not_search_uses_nothing_up(client: Client, settings: Any) -> None:
    for _ in range(5):
        assert client.post("/api/v1/search/", {}).status_code == 401
        assert client.post("/", {}).status_code == 302
    settings.WHO_MAY_SEARCH = "anyone"
    use_up(client)


def test_the_wait_is_as_long_as_is_said(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    request = RequestFactory().post("/")
    request.user = get_user_model().objects.create_user("ada")
    now = 1000.0
    monkeypatch.setattr(SearchThrottle, "timer", lambda self: now)
    for _ in range(3):
        assert wait_before_search(request) == 0
        now += 10
    now = 1020.5
    wait_s = wait_before_search(request)
    assert wait_s == 40
    now += wait_s - 1
    assert wait_before_search(request) == 1
    now += 1
    assert wait_before_search(request) == 0
    settings.SEARCHES_PER_MINUTE = 1  # two more are counted than are allowed now
    assert wait_before_search(request) == 60
    now += 60
    assert wait_before_search(request) == 0


def test_no_limit_counts_nothing(member: Client, settings: Any) -> None:
    use_up(member)
    settings.SEARCHES_PER_MINUTE = 0
    for _ in range(5):
        assert member.post("/api/v1/search/", {}).status_code == 400


def waits_of_another_process(address: str, searches: int) -> list[int]:
    """How long a visitor from this address has to wait there, search after search."""
    code = (
        "import django; django.setup()\n"
        "from django.contrib.auth.models import AnonymousUser\n"
        "from django.test import RequestFactory\n"
        "from apps.access.throttles import wait_before_search\n"
        f"request = RequestFactory().post('/', REMOTE_ADDR={address!r})\n"
        "request.user = AnonymousUser()\n"
        f"print(*[wait_before_search(request) for _ in range({searches})])\n"
    )
    environment = {
        "DJANGO_SETTINGS_MODULE": "audiosearch.settings",
        "DATABASE_URL": f"sqlite:///{connection.settings_dict['NAME']}",
        "SEARCHES_PER_MINUTE": "3",
    }
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return [int(wait_s) for wait_s in done.stdout.split()]


def visit(address: str) -> int:
    request = RequestFactory().post("/", REMOTE_ADDR=address)
    request.user = AnonymousUser()
    return wait_before_search(request)


def test_processes_share_the_limit() -> None:
    assert visit("198.51.100.1") == 0
    waits = waits_of_another_process("198.51.100.1", 3)
    assert waits[:2] == [0, 0]
    assert 0 < waits[2] <= 60
    assert visit("198.51.100.1") > 0
    assert visit("198.51.100.2") == 0


def test_many_at_once_are_all_counted() -> None:
    together = Barrier(8, timeout=30)

    def search(_: int) -> int:
        connection.ensure_connection()
        together.wait()
        try:
            return visit("198.51.100.1")
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as threads:
        waits = list(threads.map(search, range(8)))
    assert waits.count(0) == 3


def test_made_up_addresses_push_out_no_count() -> None:
    first = "1.2.3.4"  # of the keys in order, where a cache that is too full begins to cull
    for _ in range(3):
        assert visit(first) == 0
    for number in range(400):
        visit(f"10.0.{number // 250}.{number % 250}")
    assert visit(first) > 0


def test_what_is_free_asks_no_database(settings: Any, django_assert_num_queries: Any) -> None:
    request = RequestFactory().get("/")
    request.user = AnonymousUser()
    with django_assert_num_queries(0):
        assert wait_before_search(request) == 0
        settings.SEARCHES_PER_MINUTE = 0
        assert visit("198.51.100.1") == 0


def test_counting_leaves_the_database_as_safe_as_it_was() -> None:
    def synchronous() -> int:
        with connection.cursor() as cursor:
            return int(cursor.execute("PRAGMA synchronous").fetchone()[0])

    with connection.cursor() as cursor:
        cursor.execute("PRAGMA synchronous=FULL")
    full = synchronous()
    visit("198.51.100.1")
    assert synchronous() == full
    connection.close()


def test_without_redis_nobody_is_turned_away(member: Client, settings: Any) -> None:
    away = {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": "redis://127.0.0.1:1/0",
    }
    settings.CACHES = {"default": away, "limits": away}
    for _ in range(5):
        assert member.post("/api/v1/search/", {}).status_code == 400
        assert member.post("/", {}).status_code == 400
