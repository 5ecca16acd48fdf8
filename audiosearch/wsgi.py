"""The WSGI entry point."""

import os
from threading import Thread

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "audiosearch.settings")

application = get_wsgi_application()


def _warm_up() -> None:
    from django.conf import settings

    from apps.search.services import warm_up

    if settings.WARM_UP:
        Thread(target=warm_up, name="warm-up", daemon=True).start()


_warm_up()
