"""The Celery application; tasks are only nudges, the database knows the work."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "audiosearch.settings")

app = Celery("audiosearch")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
