"""The backup that runs by itself: a process of its own, and everybody is told what became of it."""

import json
import logging
import math
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.urls import reverse

from apps.ops import tasks
from apps.ops.backups.folders import generations, read_manifest
from apps.ops.backups.recording import last_backup
from apps.ops.metrics import work as work_told
from tests.service import KEPT, ROOT
from tests.unit.conftest import AddTone

pytestmark = pytest.mark.django_db(transaction=True)
PLANNED = """
import json
from audiosearch import settings
planned = settings.CELERY_BEAT_SCHEDULE.get("ops.backup")
print(json.dumps(planned and [planned["task"], str(planned["schedule"]), settings.BACKUP_KEEP]))
"""


def metrics(client: Client) -> dict[str, float]:
    work_told.told_at = -math.inf
    lines = client.get("/metrics").content.decode().splitlines()
    told = [line.split() for line in lines if line.startswith("audiosearch_backup")]
    return {name: float(value) for name, value in told}


def status(client: Client) -> str:
    return client.get(reverse("admin:analysis_space_changelist")).content.decode()


def planned(data: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    kept = {key: value for key, value in os.environ.items() if key not in KEPT}
    return subprocess.run(
        [sys.executable, "-c", PLANNED],
        cwd=ROOT,
        env={**kept, "DATA_DIR": str(data), **settings},
        capture_output=True,
        text=True,
    )


def test_it_is_told_where_people_look(
    add_tone: AddTone, curator: Client, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    track = add_tone(440)
    assert metrics(curator) == {}
    assert "None was made yet" in status(curator)
    folder = tmp_path / "kept"
    call_command("backup", str(folder), "--keep", "1", verbosity=0)
    told = metrics(curator)
    assert told["audiosearch_backup_failed"] == 0
    assert "The last whole one is" in status(curator)
    Path(track.file.path).unlink()
    with caplog.at_level(logging.ERROR), pytest.raises(CommandError):
        call_command("backup", str(folder), "--keep", "1")
    assert f"tracks/{Path(track.file.name).parent.name}" in caplog.text
    assert "it is missing" in caplog.text
    assert metrics(curator)["audiosearch_backup_failed"] == 1
    assert "1 file missing or damaged" in status(curator)


def test_a_failure_is_told_and_keeps_the_time_of_the_last_whole_one(
    add_tone: AddTone, curator: Client, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    add_tone(440)
    folder = tmp_path / "kept"
    call_command("backup", str(folder), "--keep", "1")
    whole = metrics(curator)["audiosearch_backup_timestamp_seconds"]
    (made,) = generations(folder)
    shutil.rmtree(folder)
    folder.write_text("somebody's")
    with caplog.at_level(logging.ERROR), pytest.raises(CommandError, match="not whole"):
        call_command("backup", str(folder), "--keep", "1")
    assert f"the backup to {folder} failed" in caplog.text
    assert metrics(curator) == {
        "audiosearch_backup_failed": 1,
        "audiosearch_backup_timestamp_seconds": whole,
    }
    assert "It failed: " in status(curator)
    assert str(made) not in status(curator)


def test_the_task_waits_for_nobody(
    add_tone: AddTone, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real process makes the backup; the worker goes on meanwhile."""
    add_tone(440)
    for name in KEPT:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATA_DIR", str(settings.DATA_DIR))
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{connection.settings_dict['NAME']}")
    settings.BACKUP_TO, settings.BACKUP_KEEP = tmp_path / "kept", 2
    tasks.backup()
    assert generations(tmp_path / "kept") == []
    (waiting,) = [each for each in threading.enumerate() if each.name == "backup"]
    waiting.join(60)
    (made,) = generations(tmp_path / "kept")
    assert read_manifest(made)["rows"]["catalog.Track"] == 1
    last = last_backup()
    assert last is not None
    assert last.problem == ""


def test_it_is_on_the_schedule_when_it_is_asked_for(tmp_path: Path) -> None:
    assert json.loads(planned(tmp_path).stdout) is None
    asked = planned(tmp_path, BACKUP_TO=str(tmp_path / "kept"), BACKUP_AT="4:30", BACKUP_KEEP="3")
    task, when, keep = json.loads(asked.stdout)
    assert (task, keep) == ("ops.backup", 3)
    assert when.startswith("<crontab: 30 4 ")
    wrong = planned(tmp_path, BACKUP_AT="25:00")
    assert "it must be a time of day such as 03:00" in wrong.stderr
