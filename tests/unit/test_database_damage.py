"""An embedded database that is truncated or overwritten: one sentence, and the way back."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.service import KEPT, ROOT


def manage(data: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    kept = {key: value for key, value in os.environ.items() if key not in KEPT}
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env={**kept, "DATA_DIR": str(data)},
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("data")
    assert manage(data, "migrate", "-v", "0").returncode == 0
    made = manage(data, "backup", str(data.parent / "kept"))
    assert made.returncode == 0, made.stderr
    return data


@pytest.mark.parametrize(
    "damage",
    ["half", *(pytest.param(one, marks=pytest.mark.exhaustive) for one in ("nothing", "noise"))],
)
def test_every_command_says_where_the_way_back_is(installation: Path, damage: str) -> None:
    database = installation / "audiosearch.sqlite3"
    whole = database.read_bytes()
    recording = installation / "media" / "tracks" / "ab"
    recording.mkdir(parents=True, exist_ok=True)
    left = {"half": whole[: len(whole) // 2], "nothing": b"", "noise": b"x" * len(whole)}[damage]
    database.write_bytes(left)
    try:
        for command in ("migrate", "check"):
            said = manage(installation, command)
            assert said.returncode == 1
            assert "Traceback" not in said.stderr
            assert f"./manage restore {installation.parent / 'kept'}" in said.stderr
            assert "Nothing was changed" in said.stderr
        assert database.read_bytes() == left
    finally:
        database.write_bytes(whole)
    assert manage(installation, "migrate", "--check").returncode == 0


def test_everything_written_is_its_owners(installation: Path) -> None:
    wide = [
        str(path.relative_to(installation))
        for path in installation.rglob("*")
        if path.stat().st_mode & 0o077
    ]
    assert wide == []
