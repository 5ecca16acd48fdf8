"""Play logs in the formats of the API beside JSON."""

from typing import Any

from rest_framework.renderers import BaseRenderer

from apps.monitoring.formats import FORMATS


class _PlayLogRenderer(BaseRenderer):
    """Passes on the text that the view hands out; of an error only its message is one.

    Metadata (OPTIONS) has no such form.
    """

    charset = "utf-8"

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None
    ) -> str:
        if isinstance(data, str):
            return data
        return f"{data['error']['message']}\n" if "error" in data else ""


class CsvRenderer(_PlayLogRenderer):
    format = "csv"
    media_type = FORMATS["csv"][0]


class CueRenderer(_PlayLogRenderer):
    format = "cue"
    media_type = FORMATS["cue"][0]
