"""Where a recording lies, and which of its sound tracks is heard."""

from pathlib import Path

from django.core.files.storage import default_storage

from audiosearch.engine.audio.choice import with_stream


def sound_of(name: str, stream: int | None) -> Path:
    """The stored file of a track as it is heard, by the track's `file` and `stream`."""
    return with_stream(Path(default_storage.path(name)), stream)
