"""The recordings in the storage: where they lie, and whether they are as they were added."""

import errno
from pathlib import Path

from django.core.files.storage import default_storage

from apps.catalog.models import Track
from audiosearch.engine.audio.choice import with_stream
from audiosearch.engine.digests import sha256_of
from audiosearch.engine.errors import AudioError

FILE_DAMAGED = (
    "The file is damaged: its bytes are not those that were added. Put it back from a backup, or "
    "delete the track."
)
UNREADABLE = (errno.EIO, errno.EBADMSG, errno.EUCLEAN, errno.EACCES)
"""What a system answers for a file that is there and cannot be read, by itself or by us."""


class FileDamaged(AudioError):
    """The bytes of a recording are not those that were added, or cannot be read."""

    code = "file_damaged"

    def __init__(self) -> None:
        super().__init__(FILE_DAMAGED)


def sound_of(name: str, stream: int | None) -> Path:
    """The stored file of a track as it is heard, by the track's `file` and `stream`."""
    return with_stream(Path(default_storage.path(name)), stream)


def intact_recording(track: Track) -> Path:
    """Where the recording of a track is, after its SHA-256 was compared.

    Raises FileDamaged, FileNotFoundError, and other OSErrors when the storage is away.
    """
    path = sound_of(str(track.file.name), track.stream)
    try:
        digest = sha256_of(path)
    except OSError as error:
        if error.errno in UNREADABLE:
            raise FileDamaged from error
        raise
    if digest != track.sha256:
        raise FileDamaged
    return path
