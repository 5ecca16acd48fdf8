"""The library is searched and sorted on PostgreSQL as on SQLite."""

import os
import subprocess
import sys
from pathlib import Path

from tests.service import ROOT


def test_search_and_order(own_database: str, tmp_path: Path) -> None:
    code = (
        "import django; django.setup()\n"
        "from django.core.management import call_command\n"
        "call_command('migrate', verbosity=0)\n"
        "from tests.unit.test_words import check_search_and_order\n"
        "check_search_and_order()\n"
    )
    environment = {**os.environ, "DATABASE_URL": own_database, "DATA_DIR": str(tmp_path)}
    environment["DJANGO_SETTINGS_MODULE"] = "audiosearch.settings"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
