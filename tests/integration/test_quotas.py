"""Two who add at once on PostgreSQL, which lets both write, do not both take the last place."""

import os
import subprocess
import sys
from pathlib import Path

ADDED = """
import sys
import django; django.setup()
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from django.core.management import call_command
from django.db import connection
from django.contrib.auth.models import User
from apps.catalog.models import Track
from apps.catalog.services import adding
from audiosearch.engine.errors import OverQuota
from tests.audio_files import tone, write_audio

call_command("migrate", verbosity=0)
ada = User.objects.create_user("ada")
both, write = Barrier(2, timeout=60), adding._write

def when_both_are_stored(*args):
    both.wait()
    return write(*args)

adding._write = when_both_are_stored

def added(hz):
    path = write_audio(Path(sys.argv[1]) / f"{hz}.wav", tone(1, hz))
    try:
        return adding.add_track(source=path, name=path.name, added_by=ada).created
    except OverQuota:
        return False
    finally:
        connection.close()

with ThreadPoolExecutor(2) as people:
    for round in range(5):
        print(*sorted(people.map(added, (300 + round, 400 + round))), Track.objects.count())
        Track.objects.all().delete()
"""


def test_the_last_place_is_taken_once(own_database: str, tmp_path: Path) -> None:
    environment = {
        **{"DJANGO_SETTINGS_MODULE": "audiosearch.settings", "DATA_DIR": str(tmp_path / "data")},
        **{"DATABASE_URL": own_database, "MAX_TRACKS_EACH": "1"},
    }
    done = subprocess.run(
        [sys.executable, "-c", ADDED, tmp_path],
        cwd=Path(__file__).parents[2],
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["False True 1"] * 5
