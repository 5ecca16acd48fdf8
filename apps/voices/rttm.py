"""Turns as RTTM: NIST's Rich Transcription Time Marked lines, as diarization tools read them.

https://catalog.ldc.upenn.edu/docs/LDC2004T12/RTTM-format-v13.pdf
"""

from typing import Any

from rest_framework.renderers import BaseRenderer


class RttmRenderer(BaseRenderer):
    """One line for each turn; times in seconds; blanks in names become underscores."""

    media_type = "text/plain"
    format = "rttm"
    charset = "utf-8"

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None
    ) -> str:
        if "error" in data:
            return f"{data['error']['message']}\n"
        source = f"track{data['track']}" if data["track"] else "clip"
        return "".join(_line(source, turn) for turn in data["turns"])


def _line(source: str, turn: dict[str, Any]) -> str:
    start, length = turn["start_ms"] / 1000, (turn["end_ms"] - turn["start_ms"]) / 1000
    name = "_".join(turn["name"].split())
    return f"SPEAKER {source} 1 {start:.3f} {length:.3f} <NA> <NA> {name} <NA> <NA>\n"
