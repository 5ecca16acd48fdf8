"""The Celery application as workers and beat start it, with Django loaded before it."""

import django

from audiosearch.loading import loading

with loading():
    from audiosearch.celery import app  # noqa: F401

    django.setup()
