"""Static files as they lie there: nothing is collected for tests."""

from django.contrib.staticfiles.storage import StaticFilesStorage

from audiosearch.web.static_files import BelowPrefix


class PlainStaticFiles(BelowPrefix, StaticFilesStorage):
    """Django's own."""
