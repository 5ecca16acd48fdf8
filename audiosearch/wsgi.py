"""The WSGI entry point."""

import os
from threading import Thread

from django.conf import settings
from django.core.wsgi import get_wsgi_application

from audiosearch.database_version import refuse_newer_database
from audiosearch.loading import loading

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "audiosearch.settings")

with loading():
    application = get_wsgi_application()
refuse_newer_database()


def _warm_up() -> None:
    from apps.search.services import warm_up
    from apps.voices.embedding import warm_up_voices

    warm_up()
    warm_up_voices()


if settings.WARM_UP:
    Thread(target=_warm_up, name="warm-up", daemon=True).start()
