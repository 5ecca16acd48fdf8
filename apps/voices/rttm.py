"""Turns as RTTM: NIST's Rich Transcription Time Marked lines, as diarization tools read them.

https://catalog.ldc.upenn.edu/docs/LDC2004T12/RTTM-format-v13.pdf
"""

from typing import Any

from rest_framework.renderers import BaseRenderer


class RttmRenderer(BaseRenderer):
    """One line for each turn; times in seconds; blanks in names become underscores.

    Speakers of one name are told apart by their ids.
    """

    media_type = "text/plain"
    format = "rttm"
    charset = "utf-8"

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None
    ) -> str:
        if "error" in data:
            return f"{data['error']['message']}\n"
        source = f"track{data['track']}" if data["track"] else "clip"
        named: dict[str, set[int | None]] = {}
        for turn in data["turns"]:
            named.setdefault(turn["name"], set()).add(turn["speaker"])
        return "".join(_line(source, turn, len(named[turn["name"]])) for turn in data["turns"])


def _line(source: str, turn: dict[str, Any], namesakes: int) -> str:
    start, length = turn["start_ms"] / 1000, (turn["end_ms"] - turn["start_ms"]) / 1000
    name = "_".join(turn["name"].split())
    if namesakes > 1:
        name = f"{name}_{turn['speaker']}"
    return f"SPEAKER {source} 1 {start:.3f} {length:.3f} <NA> <NA> {name} <NA> <NA>\n"
