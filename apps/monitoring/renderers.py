"""Play logs in the formats of the API beside JSON."""

from typing import Any

from rest_framework.renderers import BaseRenderer

from apps.monitoring.formats import FORMATS


class _PlayLogRenderer(BaseRenderer):
    """Renders what the view hands out: the name of the recording and its log, or an error."""

    charset = "utf-8"

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None
    ) -> str:
        if "error" in data:
            return f"{data['error']['message']}\n"
        return FORMATS[self.format][1](data["name"], data["log"])


class CsvRenderer(_PlayLogRenderer):
    format = "csv"
    media_type = FORMATS["csv"][0]


class CueRenderer(_PlayLogRenderer):
    format = "cue"
    media_type = FORMATS["cue"][0]
