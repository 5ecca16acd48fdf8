"""On PostgreSQL, where two transactions do meet: nothing public gets into what becomes private."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.service import ROOT

MEET = """
import threading, time
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.db import connection, transaction
call_command("migrate", verbosity=0)
from apps.catalog.services.collections import audience_of, save_collection
from apps.catalog.models import Collection

group = Group.objects.create(name="insiders")
collection = Collection(name="Field")
save_collection(collection)
written, found = threading.Event(), []

def make_private():
    with transaction.atomic():
        collection.audience = group
        save_collection(collection, ["audience"])
        written.set()
        time.sleep(1)  # so long that the other has begun to wait for the row
    connection.close()

def add():
    written.wait()
    with transaction.atomic():
        found.append(audience_of(Collection(pk=collection.pk, name="Field")))
    connection.close()

threads = [threading.Thread(target=each) for each in (make_private, add)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert found == [group], found
print("private")
"""


@pytest.mark.exhaustive
def test_who_waited_for_a_collection_sees_what_it_became(own_database: str, tmp_path: Path) -> None:
    environment = {
        **{key: value for key, value in os.environ.items() if key != "DJANGO_SETTINGS_MODULE"},
        **{"DATABASE_URL": own_database, "DATA_DIR": str(tmp_path), "SEARCHES_PER_MINUTE": "0"},
    }
    done = subprocess.run(
        [sys.executable, "manage.py", "shell", "-v", "0", "-c", MEET],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "private" in done.stdout, done.stderr
