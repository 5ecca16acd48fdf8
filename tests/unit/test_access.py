"""Tokens: kept as digests, for what they were made, until they are revoked."""

from collections.abc import Callable
from datetime import timedelta
from importlib import import_module
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.apps import apps
from django.contrib.auth import get_user_model
from django.core.cache import caches
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models import F
from django.test import Client
from django.utils import timezone

from apps.access.models import ApiToken, Scope
from apps.access.tokens import digest_of, issue_token
from tests.unit.conftest import AddTone

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def keeper() -> Any:
    return get_user_model().objects.create_user("keeper", is_staff=True)


def calling(secret: str) -> Client:
    return Client(headers={"Authorization": f"Token {secret}"})


def test_a_token_does_what_it_was_made_for(
    keeper: Any, add_tone: AddTone, clip: Callable[[float, float], Path]
) -> None:
    track = add_tone(440)
    addresses: dict[str, Callable[[Client], Any]] = {
        "read": lambda caller: caller.get("/api/v1/tracks/"),
        "write": lambda caller: caller.delete(f"/api/v1/tracks/{track.pk}/"),
        "voices": lambda caller: caller.get("/api/v1/speakers/"),
    }
    for scope in Scope.values:
        caller = calling(issue_token(user=keeper, name="test", scopes=[scope]))
        for other, ask in addresses.items():
            answer = ask(caller)
            if other != scope:
                assert answer.status_code == 403, (scope, other)
                assert other in answer.json()["error"]["message"]
            else:
                assert answer.status_code < 300, (scope, other)
    reader = calling(issue_token(user=keeper, name="test", scopes=["read"]))
    with clip(440, 2).open("rb") as file:
        assert reader.post("/api/v1/search/", {"file": file}).status_code == 200


def test_scopes_hold_below_a_path(keeper: Any) -> None:
    for scope, status in (("voices", 200), ("read", 403), ("write", 403)):
        caller = calling(issue_token(user=keeper, name="test", scopes=[scope]))
        answer = caller.get("/api/v1/speakers/", SCRIPT_NAME="/sounds")
        assert answer.status_code == status, scope


def test_only_a_digest_is_kept(keeper: Any) -> None:
    secret = issue_token(user=keeper, name="test")
    row = ApiToken.objects.get()
    assert row.digest == digest_of(secret)
    assert secret not in str(vars(row))
    assert secret.startswith(row.prefix)


def test_what_is_refused(keeper: Any) -> None:
    secret = issue_token(user=keeper, name="test")
    assert calling(secret).get("/api/v1/tracks/").status_code == 200
    for wrong in ("", "wrong", secret + "x", digest_of(secret)):
        answer = calling(wrong).get("/api/v1/tracks/")
        assert (answer.status_code, answer.json()["error"]["code"]) == (
            401,
            "authentication_failed",
        )
    keeper.is_active = False
    keeper.save()
    assert calling(secret).get("/api/v1/tracks/").status_code == 401
    with pytest.raises(ValueError, match="one or more of the scopes"):
        issue_token(user=keeper, name="test", scopes=["everything"])


def test_last_use_is_noted_once_a_minute(keeper: Any) -> None:
    secret = issue_token(user=keeper, name="test")
    calling(secret).get("/api/v1/tracks/")
    first = ApiToken.objects.get().last_used_at
    assert first is not None
    calling(secret).get("/api/v1/tracks/")
    assert ApiToken.objects.get().last_used_at == first
    ApiToken.objects.update(last_used_at=timezone.now() - timedelta(hours=1))
    calling(secret).get("/api/v1/tracks/")
    assert ApiToken.objects.get().last_used_at > first


def test_the_command_makes_lists_and_revokes(keeper: Any) -> None:
    out = StringIO()
    call_command("tokens", "create", "keeper", "--scopes", "read", "voices", stdout=out)
    secret = out.getvalue().strip()
    assert calling(secret).get("/api/v1/speakers/").status_code == 200
    call_command("tokens", stdout=out)
    assert "read,voices" in out.getvalue()
    call_command("tokens", "revoke", secret[:8], stdout=out)
    assert calling(secret).get("/api/v1/speakers/").status_code == 401
    with pytest.raises(CommandError, match="No token in use"):
        call_command("tokens", "revoke", secret[:8])
    with pytest.raises(CommandError, match="no user"):
        call_command("tokens", "create", "nobody")


def test_a_token_can_be_named_on_a_command_line(keeper: Any) -> None:
    assert all(issue_token(user=keeper, name="test").isalnum() for _ in range(100))


def test_administrators_make_them_in_the_console(keeper: Any) -> None:
    console = Client()
    console.force_login(keeper)
    assert console.get("/admin/access/apitoken/").status_code == 403
    console.force_login(get_user_model().objects.create_superuser("root"))
    form = {"user": keeper.pk, "name": "script", "scopes": ["read"]}
    page = console.post("/admin/access/apitoken/add/", form, follow=True).content.decode()
    secret = page.partition("The token is ")[2].partition(" ")[0]
    assert calling(secret).get("/api/v1/tracks/").status_code == 200
    row = ApiToken.objects.get()
    assert row.scopes == ["read"]
    ticked = {"action": "revoke", "_selected_action": [row.pk]}
    console.post("/admin/access/apitoken/", ticked)
    assert calling(secret).get("/api/v1/tracks/").status_code == 401


def test_tokens_there_were_are_moved_over(keeper: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE authtoken_token (key varchar(40), user_id integer)")
        cursor.execute("INSERT INTO authtoken_token VALUES (%s, %s)", ["k" * 40, keeper.pk])
    move = import_module("apps.access.migrations.0002_hash_the_tokens_there_were").move_tokens
    with connection.schema_editor() as editor:
        move(apps, editor)
        move(apps, editor)
    assert calling("k" * 40).get("/api/v1/tracks/").status_code == 200
    assert "authtoken_token" not in connection.introspection.table_names()


def log_in(password: str, name: str = "ada", **sent: Any) -> Any:
    form = {"username": name, "password": password, "next": "/library/"}
    return Client(**sent).post("/login/", form)


@pytest.fixture
def ada() -> None:
    get_user_model().objects.create_user("ada", password="right")


def fail(times: int, name: str = "ada", **sent: Any) -> None:
    for _ in range(times):
        assert log_in("wrong", name, **sent).status_code == 200


def let_pass(time: timedelta) -> None:
    AccessAttempt.objects.update(attempt_time=F("attempt_time") - time)


def test_guessing_a_password_is_slowed(ada: None) -> None:
    fail(9)
    assert log_in("wrong").status_code == 429
    answer = log_in("right")
    assert answer.status_code == 429
    assert answer.headers["Retry-After"] == "300"
    page = answer.content.decode()
    assert "wait 5 minutes" in page
    assert 'value="/library/"' in page
    assert "is not right" not in page
    for same in ("ADA", "ada ", "\u00a0ada", "\uff41da"):
        assert log_in("right", same).status_code == 429
    fail(1, "somebody else")
    assert log_in("right", REMOTE_ADDR="198.51.100.1").status_code == 302
    assert log_in("right").status_code == 429
    let_pass(timedelta(minutes=5))
    assert log_in("right").status_code == 302


def test_failures_are_kept_from_process_to_process(ada: None) -> None:
    fail(9)
    for cache in caches.all():
        cache.clear()  # as a restart does, and Redis when it is full
    for _ in range(3):
        log_in("wrong")
    assert log_in("right").status_code == 429


def test_tries_while_it_is_closed_do_not_make_it_longer(ada: None) -> None:
    fail(9)
    log_in("wrong")
    let_pass(timedelta(minutes=4))
    assert log_in("wrong").status_code == 429
    let_pass(timedelta(minutes=1))
    assert log_in("right").status_code == 302


def test_a_name_is_closed_to_guessers_from_everywhere(ada: None, settings: Any) -> None:
    settings.REST_FRAMEWORK = settings.REST_FRAMEWORK | {"NUM_PROXIES": 1}
    for number in range(99):
        fail(1, headers={"X-Forwarded-For": f"198.51.100.{number}"})
    elsewhere = {"headers": {"X-Forwarded-For": "203.0.113.1"}}
    log_in("wrong", **elsewhere)
    assert log_in("right", **elsewhere).status_code == 429


def test_an_address_that_tries_many_names_is_closed(ada: None) -> None:
    """Nor do a guesser's own log-ins, or 310 names that are made up, open it again."""
    for number in range(49):
        fail(1, f"made up {number}")
    assert log_in("right").status_code == 302
    log_in("wrong")
    for number in range(310):
        log_in("wrong", f"another {number}")
    assert log_in("right").status_code == 429


def test_old_failures_are_forgotten(ada: None) -> None:
    for number in range(20):
        fail(1, f"made up {number}")
    let_pass(timedelta(minutes=5))
    fail(1)
    (kept,) = AccessAttempt.objects.all()
    assert (kept.username, kept.ip_address) == ("ada", "127.0.0.1")
    assert "wrong" not in str(vars(kept))


def test_a_success_forgets_the_failures(ada: None) -> None:
    for _ in range(3):
        fail(9)
        assert log_in("right").status_code == 302
    assert not AccessAttempt.objects.exists()


def test_behind_a_proxy_its_word_says_who_guesses(ada: None, settings: Any) -> None:
    settings.REST_FRAMEWORK = settings.REST_FRAMEWORK | {"NUM_PROXIES": 1}
    for invented in range(9):
        fail(1, headers={"X-Forwarded-For": f"203.0.113.{invented}, 198.51.100.1"})
    log_in("wrong", headers={"X-Forwarded-For": "198.51.100.1"})
    assert log_in("right", headers={"X-Forwarded-For": "198.51.100.1"}).status_code == 429
    assert log_in("right", headers={"X-Forwarded-For": "198.51.100.2"}).status_code == 302


@pytest.mark.parametrize("address", ["nonsense", "198.51.100.1:80", "fe80::1%eth0", "", "\u0661"])
def test_what_is_no_address_is_counted_all_the_same(ada: None, settings: Any, address: str) -> None:
    settings.REST_FRAMEWORK = settings.REST_FRAMEWORK | {"NUM_PROXIES": 1}
    sent = {"headers": {"X-Forwarded-For": address}}
    fail(9, **sent)
    log_in("wrong", **sent)
    assert log_in("right", **sent).status_code == 429


def test_a_name_that_grows_when_folded_fits() -> None:
    fail(1, "\u0390" * 150)
    assert len(AccessAttempt.objects.get().username) == 255


def test_failed_log_ins_are_logged(ada: None, caplog: pytest.LogCaptureFixture) -> None:
    fail(1, 'ada" from 198.51.100.9\x1b[2J')
    assert log_in("right").status_code == 302
    told = [record.getMessage() for record in caplog.records if record.name.startswith("axes")]
    (line,) = told
    assert r"""127.0.0.1 as 'ada" from 198.51.100.9\x1b[2j'""" in line
    assert "wrong" not in line


def test_without_its_cache_logging_in_goes_on(ada: None, settings: Any) -> None:
    away = {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": "redis://127.0.0.1:1/0",
    }
    settings.CACHES = {"default": away, "limits": away}
    fail(1)
    assert log_in("right").status_code == 302


def test_the_console_has_no_log_in_of_its_own() -> None:
    answer = Client().get("/admin/login/?next=/admin/catalog/track/")
    assert answer.headers["Location"] == "/login/?next=/admin/catalog/track/"
