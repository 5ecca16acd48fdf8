"""Names of files as their owners gave them: text that can be read, in NFC, never used as a path."""

import unicodedata
from pathlib import PurePosixPath

from audiosearch.engine.audio.charsets import readable

LITTER = frozenset(
    ["thumbs.db", "desktop.ini", "__macosx", "@eadir", "$recycle.bin", "system volume information"]
)
"""What file managers leave behind, beside what begins with a dot."""


def is_litter(name: str) -> bool:
    """Whether one part of a path is hidden, or was left behind by a file manager."""
    return name.startswith(".") or name.casefold() in LITTER


def shown_name(name: str) -> str:
    """The last part of a file's name, safe to show."""
    last = PurePosixPath(shown_path(name)).name
    return unicodedata.normalize("NFC", last.replace("\ufffd", ""))[:255] or "recording"


def shown_path(path: str) -> str:
    """A path as people read it: parted by slashes; a legacy encoding is told, if it can be."""
    try:
        raw = path.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raw = path.encode("utf-8", "replace")
    text = readable([raw], own="cp1252")[0] or raw.decode("ascii", "ignore")
    return unicodedata.normalize("NFC", text.replace("\x00", "").replace("\\", "/"))
