"""Where pages find scripts, styles and pictures."""

from django.urls import get_script_prefix
from whitenoise.storage import CompressedManifestStaticFilesStorage


class BelowPrefix:
    """Of a storage of static files: its addresses are below the prefix of the request at hand.

    Django settles them once, by the first request.
    """

    @property
    def base_url(self) -> str:
        return f"{get_script_prefix()}static/"


class StaticFiles(BelowPrefix, CompressedManifestStaticFilesStorage):
    """WhiteNoise's."""
