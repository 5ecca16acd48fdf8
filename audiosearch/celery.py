"""The Celery application; tasks are only wake-ups, the database knows the work."""

import os
import warnings
from typing import Any

from celery import Celery, bootsteps
from celery.platforms import SecurityWarning
from kombu.transport import TRANSPORT_ALIASES

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "audiosearch.settings")

# Containers run as root; the tasks carry no arguments, so nothing is unpickled.
warnings.filterwarnings("ignore", category=SecurityWarning)

TRANSPORT_ALIASES["filesystem"] = "audiosearch.file_broker:Transport"
app = Celery("audiosearch")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


class KnownDatabase(bootsteps.Step):
    """A worker's first step: it does not start on a database of a newer version."""

    def create(self, parent: Any) -> None:
        from audiosearch.database_version import refuse_newer_database

        refuse_newer_database()


app.steps["worker"].add(KnownDatabase)
