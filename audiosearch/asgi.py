"""The ASGI entry point."""

import os

from django.core.asgi import get_asgi_application

from audiosearch.database_version import refuse_newer_database

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "audiosearch.settings")

application = get_asgi_application()
refuse_newer_database()
