"""What is kept is for its owner alone, or for a group where that is asked for."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from apps.ops import modes
from apps.ops.checks import modes as check
from tests.service import ROOT


@pytest.fixture
def folder(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A DATA_DIR as older versions made it, with names that a shell would take apart."""
    data = tmp_path / "old data"
    (data / "media" / "tracks").mkdir(parents=True)
    for name in ("credentials.json", "secret_key", "test.sqlite3", "media/tracks/1.wav"):
        (data / name).touch()
    for path in [data, *data.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    settings.DATA_DIR = data
    monkeypatch.setitem(settings.DATABASES["default"], "NAME", data / "test.sqlite3")
    return data


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_what_others_may_read_is_told_with_the_way_to_mend_it(folder: Path) -> None:
    (told,) = check(None)
    assert "7 found" in told.msg
    assert f"chmod -R go-rwx '{folder}'" in str(told.hint)
    subprocess.run(["sh", "-c", str(told.hint).partition(" (")[0]], check=True)
    assert check(None) == []


def test_a_group_that_shares_it_is_no_fault(folder: Path, settings: Any) -> None:
    settings.UMASK = 0o007
    assert "every user" in check(None)[0].msg
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o770 if path.is_dir() else 0o660)
    assert check(None) == []
    settings.UMASK = 0o077
    assert "7 found" in check(None)[0].msg
    assert "DATA_DIR_GROUP=1" in str(check(None)[0].hint)


def test_what_everybody_gets_may_be_open(tmp_path: Path, settings: Any) -> None:
    settings.DATA_DIR, settings.STATIC_ROOT = tmp_path, tmp_path / "static"
    tmp_path.chmod(0o700)
    settings.STATIC_ROOT.mkdir(0o700)
    (settings.STATIC_ROOT / "pages.css").touch(0o644)
    assert check(None) == []
    (tmp_path / "secret_key").touch()
    (tmp_path / "secret_key").chmod(0o644)
    assert "1 found" in check(None)[0].msg


def test_a_million_files_are_not_walked(folder: Path) -> None:
    tracks = folder / "media" / "tracks"
    for number in range(modes.SAMPLE + 20):
        (tracks / f"{number}.flac").touch(0o600)
    looked_at = list(modes._looked_at(folder))
    assert sum(path.parent == tracks for path in looked_at) == modes.SAMPLE
    assert {"credentials.json", "secret_key", "test.sqlite3"} <= {path.name for path in looked_at}


def test_what_belongs_to_others_and_links_are_left_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "link").symlink_to("/etc")
    assert folder / "link" not in modes.open_to_others(folder)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    assert modes.open_to_others(folder) == []
    modes.close_well_known()
    assert mode(folder) == 0o755


def test_a_start_closes_the_database_and_the_secrets(folder: Path, settings: Any) -> None:
    settings.UMASK = 0o007
    modes.close_well_known()
    assert mode(folder) == 0o750
    settings.UMASK = 0o077
    modes.close_well_known()
    assert mode(folder) == 0o700
    for name in ("credentials.json", "secret_key", "test.sqlite3"):
        assert mode(folder / name) == 0o600
    assert mode(folder / "media" / "tracks" / "1.wav") == 0o644


@pytest.mark.parametrize(("group", "wanted"), [("0", "0o600 0o700"), ("1", "0o660 0o770")])
def test_what_is_written_is_for_its_owner_or_the_group(
    tmp_path: Path, group: str, wanted: str
) -> None:
    code = "import os; from audiosearch import settings as s; d = s.DATA_DIR;"
    code += "print(*(oct(os.stat(p).st_mode & 0o777) for p in (d / 'secret_key', d / 'uploads')))"
    environment = {**os.environ, "DATA_DIR": str(tmp_path), "DATA_DIR_GROUP": group}
    environment.pop("SECRET_KEY", None)
    said = subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, env=environment)
    assert said.decode().strip() == wanted
