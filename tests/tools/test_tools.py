"""What linters, a type checker and an auditor say of the whole tree, beside the other tests."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.service import ROOT

BINARIES = Path(sys.executable).parent
MANAGE = (sys.executable, "manage.py")
TOOLS: dict[str, tuple[str | Path, ...]] = {
    "types": (BINARIES / "mypy",),
    "vulnerabilities": (sys.executable, "scripts/audit.py"),
    "Dockerfile": (BINARIES / "hadolint", "Dockerfile"),
    "lint": (BINARIES / "ruff", "check", "."),
    "format": (BINARIES / "ruff", "format", "--check", "."),
    "migrations": (*MANAGE, "makemigrations", "--check", "--dry-run"),
    "schema": (*MANAGE, "spectacular", "--validate", "--fail-on-warn", "--file", os.devnull),
}


@pytest.mark.parametrize("name", TOOLS)
def test_it_finds_nothing(name: str, tmp_path: Path) -> None:
    settings = {"DJANGO_SETTINGS_MODULE": "audiosearch.settings", "DATA_DIR": str(tmp_path)}
    done = subprocess.run(
        TOOLS[name], cwd=ROOT, env={**os.environ, **settings}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    if done.stdout.startswith("Not audited"):
        pytest.skip(done.stdout.strip())
