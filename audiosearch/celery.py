"""The Celery application; tasks are only wake-ups, the database knows the work."""

import os
import warnings

from celery import Celery
from celery.platforms import SecurityWarning

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "audiosearch.settings")

# Containers run as root; the tasks carry no arguments, so nothing is unpickled.
warnings.filterwarnings("ignore", category=SecurityWarning)

app = Celery("audiosearch")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
