"""Settings: every misconfiguration has words; secrets may lie in files."""

import os
import subprocess
import sys
from collections import namedtuple
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command

from apps.analysis.models import Space
from apps.analysis.spaces import ensure_spaces
from apps.ops import checks, protections
from audiosearch import environment as env
from audiosearch.engine.audio.confinement import PROTECTIONS
from tests.service import free_port

pytestmark = pytest.mark.django_db
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def nothing_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in env.SECRETS:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(f"{name}_FILE", raising=False)


def found(databases: list[str] | None = None) -> dict[str, str]:
    told = run_checks(tags=[checks.TAG], databases=databases)
    assert all(one.msg for one in told)
    return {str(one.id).removeprefix("audiosearch."): f"{one.msg} {one.hint}" for one in told}


def test_as_it_comes_nothing_is_wrong() -> None:
    assert found() == {}


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("E001", {"DATA_DIR": Path("/proc/nothing")}, "/proc/nothing"),
    ("E002", {"DEBUG": True, "HOST": "0.0.0.0"}, "DEBUG=0"),
    ("W002", {"SECRET_KEY": "x" * 49}, "50 characters"),
    ("W004", {"ALLOWED_HOSTS": ["*"], "HTTPS": False}, "HTTPS=1"),
    ("W005", {"REDIS_URL": "redis://r"}, "PostgreSQL"),
    ("W006", {"MILVUS_URI": "http://milvus:19530", "REDIS_URL": ""}, "REDIS_URL"),
    ("W007", {"WHO_MAY_ADD": "anyone", "WHO_MAY_SEARCH": "members"}, "WHO_MAY_ADD=members"),
    ("W007", {"WHO_MAY_ADD": "members", "WHO_MAY_SEARCH": "staff"}, "WHO_MAY_ADD=staff"),
    ("E004", {"URL_PREFIX": "/tracks"}, "/sounds"),
    ("E004", {"URL_PREFIX": "/static"}, "/sounds"),
    ("E004", {"URL_PREFIX": "/metrics"}, "/sounds"),
    ("W008", {"VOICE_ENCODER": "wavlm"}, "models pull wavlm"),
    ("W008", {"VOICE_ENCODER": "nonsense"}, "Known analyzers"),
]


@pytest.mark.parametrize(("number", "wrong", "word"), WRONG)
def test_what_is_wrong_is_named(
    settings: Any, number: str, wrong: dict[str, Any], word: str
) -> None:
    for name, value in wrong.items():
        setattr(settings, name, value)
    told = found()
    assert number in told
    assert word in told[number]
    assert set(told) - {number} <= {"W003"}


RIGHT: list[dict[str, Any]] = [
    {"DEBUG": True, "HOST": "127.0.0.1"},
    {"DEBUG": True, "HOST": "::1"},
    {"DEBUG": False, "HOST": "0.0.0.0"},
    {"SECRET_KEY": "x" * 50},
    {"ALLOWED_HOSTS": ["*"], "HTTPS": True},
    {"ALLOWED_HOSTS": ["sounds.example"], "HTTPS": False},
    {"MILVUS_URI": "http://127.0.0.1:19530", "REDIS_URL": ""},
    {"WHO_MAY_ADD": "staff", "WHO_MAY_SEARCH": "anyone"},
    {"URL_PREFIX": "/sounds"},
    {"URL_PREFIX": "/our/tracks"},
]


@pytest.mark.parametrize("right", RIGHT)
def test_what_is_right_is_left_alone(settings: Any, right: dict[str, Any]) -> None:
    for name, value in right.items():
        setattr(settings, name, value)
    assert found() == {}


def test_real_services_fit_together(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    postgres = "django.db.backends.postgresql"
    monkeypatch.setitem(settings.DATABASES["default"], "ENGINE", postgres)
    settings.REDIS_URL, settings.MILVUS_URI = "redis://redis", "http://milvus:19530"
    assert found() == {}


def test_a_full_disk_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")(10**12, 10**12 - 5 * 10**8, 5 * 10**8)
    monkeypatch.setattr(checks.shutil, "disk_usage", lambda folder: usage)
    assert "500 MB" in found()["W001"]


def test_a_key_that_everybody_may_read(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Path(settings.DATA_DIR) / "secret_key"
    assert kept.stat().st_mode & 0o777 == 0o600
    kept.chmod(0o644)
    try:
        assert "chmod 600" in found()["W003"]
        monkeypatch.setenv("SECRET_KEY", "x" * 50)  # then the file is not in use
        assert set(found()) == {"W011"}
    finally:
        kept.chmod(0o600)


def test_the_model_that_answers_searches_is_there() -> None:
    assert found(["default"]) == {}
    ensure_spaces()
    assert found(["default"]) == {}
    Space.objects.filter(kind="embedding").update(analyzer="wavlm")
    assert found() == {}
    assert "wavlm" in found(["default"])["W009"]


def test_secrets_come_from_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("  from a file\n")
    for name in env.SECRETS:
        monkeypatch.setenv(f"{name}_FILE", str(secret))
        assert env.text(name, "default") == "from a file"
    monkeypatch.setenv("HOST_FILE", str(secret))
    assert env.text("HOST", "default") == "default"


def test_values_are_taken_as_they_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SECRET_KEY", "$HOME")
    assert env.text("SECRET_KEY") == "$HOME"
    folder = tmp_path / "c++"
    folder.mkdir()
    code = "from django.conf import settings as s; print(s.DATABASES['default']['NAME'])"
    said = manage("shell", "--no-imports", "-c", code, DATA_DIR=str(folder))
    assert said.stdout.strip() == str(folder / "audiosearch.sqlite3"), said.stderr


def test_files_that_are_no_secrets_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refused(path: Path) -> str:
        monkeypatch.setenv("REDIS_URL_FILE", str(path))
        with pytest.raises(ImproperlyConfigured) as error:
            env.url("REDIS_URL", "", ("redis",))
        return str(error.value)

    assert "No such file" in refused(tmp_path / "missing")
    assert "Is a directory" in refused(tmp_path)
    secret = tmp_path / "secret"
    secret.write_text(" \n")
    assert "is empty" in refused(secret)
    secret.write_bytes(b"\xff\xfe\x00")
    assert "it is no text" in refused(secret)
    secret.write_text("http://:password@redis")
    assert refused(secret) == "REDIS_URL must start with one of redis and a colon."
    monkeypatch.setenv("REDIS_URL", "redis://other")
    assert "both set" in refused(secret)


def manage(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=kept | environment,
        capture_output=True,
        text=True,
    )


@pytest.mark.exhaustive
def test_ready_for_the_network(tmp_path: Path) -> None:
    deploy = ("check", "--deploy", "--fail-level", "WARNING")
    fit = {"DATA_DIR": str(tmp_path), "HTTPS": "1", "ALLOWED_HOSTS": "sounds.example"}
    fit |= {"PROXIES": "1"}
    checked = manage(*deploy, **fit)
    assert checked.returncode == 0, checked.stderr
    assert "no issues" in checked.stdout
    checked = manage(*deploy, **fit | {"HTTPS": "0", "PROXIES": "0"})
    assert checked.returncode == 1
    assert "security.W012" in checked.stderr
    assert "audiosearch.W010" in checked.stderr
    assert "docker-compose.yml" in checked.stderr


def test_what_cannot_be_meant_is_not_started(tmp_path: Path) -> None:
    said = manage("serve", DATA_DIR=str(tmp_path), HOST="0.0.0.0", PORT=str(free_port()), DEBUG="1")
    assert said.returncode == 1
    assert "audiosearch.E002" in said.stderr
    assert "Starting" not in said.stdout


def test_a_process_reads_its_secrets_from_files(tmp_path: Path) -> None:
    secret = tmp_path / "key"
    secret.write_text("k" * 60 + "\n")
    secret.chmod(0o600)
    url = tmp_path / "url"
    url.write_text(f"sqlite:///{tmp_path / 'elsewhere.sqlite3'}\n")
    named = {
        "DATA_DIR": str(tmp_path / "data"),
        "SECRET_KEY_FILE": str(secret),
        "DATABASE_URL_FILE": str(url),
    }
    code = "from django.conf import settings as s; print(s.SECRET_KEY, s.DATABASES['default'])"
    said = manage("shell", "--no-imports", "-c", code, **named)
    assert said.returncode == 0, said.stderr
    assert "k" * 60 in said.stdout
    assert "elsewhere.sqlite3" in said.stdout
    assert not (tmp_path / "data" / "secret_key").exists()
    secret.unlink()
    said = manage("check", **named)
    assert said.returncode == 1
    assert "SECRET_KEY_FILE is" in said.stderr


def test_check_says_what_keeps_decoders_in(monkeypatch: pytest.MonkeyPatch) -> None:
    def line() -> str:
        said = StringIO()
        call_command("check", stdout=said)
        return said.getvalue().splitlines()[-1]

    held = protections.protections()
    assert line().startswith("Decoders run with an empty environment")
    assert all(name in line() for name in held)
    for some, told in (
        (PROTECTIONS, "no network, no programs, no files"),
        (PROTECTIONS[:1], "Missing here: Landlock, seccomp."),
        ((), "and nothing else"),
    ):
        monkeypatch.setattr(protections, "protections", lambda some=some: some)
        assert told in line()


@pytest.mark.parametrize(
    ("name", "value", "word"),
    [
        ("LOG_FORMAT", "xml", "text, json"),
        ("LOG_LEVEL", "LOUD", "DEBUG, INFO"),
        ("SEARCHES_PER_MINUTE", "many", "whole number"),
        ("CHECK_EVERY_HOURS", "-1", "whole number"),
        ("DATA_DIR", "/proc/nothing/here", "cannot be made"),
        ("HTTPS", "ture", "must be 1 or 0"),
        ("PORT", "70000", "from 1 to 65535"),
        ("MODELS_URL", "ftp://mirror", "http, https"),
        ("URL_PREFIX", "sounds", "such as /sounds"),
        ("URL_PREFIX", "//evil.example", "such as /sounds"),
    ],
)
def test_nonsense_is_refused_in_words(tmp_path: Path, name: str, value: str, word: str) -> None:
    said = manage("check", **{"DATA_DIR": str(tmp_path), name: value})
    assert said.returncode == 1
    assert "ImproperlyConfigured" in said.stderr
    last = said.stderr.strip().splitlines()[-1]
    assert value in last
    assert word in last
