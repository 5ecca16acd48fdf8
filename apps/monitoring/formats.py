"""A play log as JSON, CSV and a cue sheet."""

import csv
import io
from collections.abc import Callable
from typing import Any

from apps.catalog.id_map import TrackCard
from apps.monitoring.play_logs import ShownLog, ShownPlay

COLUMNS = (
    *("start_s", "end_s", "track", "title", "artist", "album", "track_start_s", "track_end_s"),
    *("coverage", "speed", "probability", "aligned", "of", "play", "copies"),
)
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet would run, at the beginning of a cell."""
CUE_FRAMES = 75
"""A second of a cue sheet."""
CUE_MOST = 99
"""Tracks that a cue sheet holds; their numbers have two digits."""


def as_json(name: str, log: ShownLog) -> dict[str, Any]:
    """The log as the API tells it; `name` of the recording."""
    return {
        "name": name,
        "duration_ms": log.duration_ms,
        "plays": [_play(play) for play in log.plays],
        "gaps": [{"start_ms": gap.start_ms, "end_ms": gap.end_ms} for gap in log.gaps],
        "overlaps": [vars(overlap) | {"plays": list(overlap.plays)} for overlap in log.overlaps],
    }


def as_csv(name: str, log: ShownLog) -> str:
    """RFC 4180, a line for each play; times in seconds. Formulas are quoted as text."""
    out = io.StringIO()
    lines = csv.writer(out)
    lines.writerow(COLUMNS)
    for play in log.plays:
        lines.writerow(
            [
                *(_seconds(play.start_ms), _seconds(play.end_ms), play.track.id),
                *(_cell(text) for text in _texts(play.track)),
                *(_seconds(play.track_start_ms), _seconds(play.track_end_ms)),
                *(play.coverage, play.speed, play.probability, play.aligned, play.of, play.play),
                " ".join(str(copy.id) for copy in play.copies),
            ]
        )
    return out.getvalue()


def as_cue(name: str, log: ShownLog) -> str:
    """A cue sheet of the recording: a track for each play, and one for what is between.

    It has room for 99; what comes later is left out, and a remark says so.
    """
    marks = sorted(
        [(play.start_ms, *_texts(play.track)[:2]) for play in log.plays]
        + [(gap.start_ms, "(unknown)", "") for gap in log.gaps]
    )
    lines = [f"TITLE {_quoted(name)}"]
    if len(marks) > CUE_MOST:
        lines.append(f"REM {len(marks) - CUE_MOST} more tracks have no room in a cue sheet")
    lines.append(f"FILE {_quoted(name)} {_cue_kind(name)}")
    for number, (start_ms, title, artist) in enumerate(marks[:CUE_MOST], 1):
        lines += [f"  TRACK {number:02} AUDIO", f"    TITLE {_quoted(title)}"]
        lines += [f"    PERFORMER {_quoted(artist)}"] if artist else []
        lines.append(f"    INDEX 01 {_cue_time(start_ms)}")
    return "\r\n".join(lines) + "\r\n"


FORMATS: dict[str, tuple[str, Callable[[str, ShownLog], str]]] = {
    "csv": ("text/csv", as_csv),
    "cue": ("application/x-cue", as_cue),
}
"""Beside JSON: media type, and what writes it."""


def _play(play: ShownPlay) -> dict[str, Any]:
    told = dict(vars(play))
    told["track"] = _named(play.track)
    told["copies"] = [_named(copy) for copy in play.copies]
    return told


def _named(card: TrackCard) -> dict[str, Any]:
    title, artist, album = _texts(card)
    return {
        "id": card.id,
        "title": title,
        "artist": artist,
        "album": album,
        "duration_ms": card.duration_ms,
    }


def _texts(card: TrackCard) -> tuple[str, str, str]:
    return card.title, card.artist, card.album


def _seconds(ms: int) -> str:
    return f"{ms / 1000:.3f}"


def _cell(text: str) -> str:
    return f"'{text}" if text.startswith(FORMULA) else text


def _quoted(text: str) -> str:
    """In a cue sheet there is no way to write a quotation mark, or a second line."""
    return '"' + " ".join(text.replace('"', "'").split()) + '"'


def _cue_time(ms: int) -> str:
    frames = ms * CUE_FRAMES // 1000
    seconds, frame = divmod(frames, CUE_FRAMES)
    return f"{seconds // 60:02}:{seconds % 60:02}:{frame:02}"


def _cue_kind(name: str) -> str:
    suffix = name.rpartition(".")[2].lower()
    return {"mp3": "MP3", "aif": "AIFF", "aiff": "AIFF"}.get(suffix, "WAVE")
