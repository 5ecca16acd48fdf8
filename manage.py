#!/usr/bin/env python3
"""Django's command line, for this project."""

import os
import sys
from contextlib import suppress

from audiosearch.loading import loading


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "audiosearch.settings")
    with loading():
        import django
        from django.core.exceptions import ImproperlyConfigured
        from django.core.management import execute_from_command_line

        from audiosearch.database_damage import refuse_damaged_database

        with suppress(ImproperlyConfigured):  # the command tells of it
            refuse_damaged_database()
            django.setup()
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
