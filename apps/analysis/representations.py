"""What was found in each track, kept as files: indexes are rebuilt from them without analysing."""

import io
import zipfile
import zlib
from typing import BinaryIO, TypeVar, cast

import numpy as np
from django.core.files.base import ContentFile, File
from django.core.files.storage import default_storage

from apps.catalog.recordings import UNREADABLE
from audiosearch.engine.analyzers.base import Representation
from audiosearch.engine.digests import has_digest, with_digest

ROOT = "vectors"
R = TypeVar("R", bound=Representation)
DAMAGE = (ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)
"""What reading a damaged file raises where it has no digest: each by some bit of a zip file."""


class NotKept(Exception):
    """The kept representation of a track is not there, or cannot be read."""


def space_folder(space: str) -> str:
    """Where in the storage the representations of a space are kept."""
    return f"{ROOT}/{space}"


def kept_name(space: str, track_id: int) -> str:
    """Where in the storage the representation of a track is kept."""
    return f"{space_folder(space)}/{track_id // 1000:06d}/{track_id}.npz"


def keep(space: str, track_id: int, found: Representation) -> None:
    """Keep the arrays of a representation and their digest, replacing what was there."""
    buffer = io.BytesIO()
    np.savez(buffer, **found.arrays())  # type: ignore[arg-type] # numpy's stubs take one as a flag
    forget_kept(space, track_id)
    default_storage.save(kept_name(space, track_id), ContentFile(with_digest(buffer.getvalue())))


def load_kept(space: str, track_id: int, kind: type[R]) -> R:
    """The kept representation; raises NotKept when it is gone or damaged."""
    try:
        with default_storage.open(kept_name(space, track_id)) as file:
            has_digest(cast(BinaryIO, file))
            return _read(file, kind)
    except (OSError, *DAMAGE) as error:
        raise NotKept(f"What was found in track {track_id} for {space} is missing.") from error


def _read(file: File, kind: type[R]) -> R:
    with np.load(file) as arrays:
        return kind(**{name: arrays[name] for name in kind.kept})


def verify_kept(space: str, track_id: int, kind: type[Representation]) -> None:
    """Raise NotKept unless the kept representation is as it was written.

    One without a digest, as version 0.1 kept it, is checked as any zip file is, and gets one.
    Raises FileNotFoundError when there is none, and other OSErrors when the storage is away.
    """
    name = kept_name(space, track_id)
    try:
        with default_storage.open(name) as file:
            noted = has_digest(cast(BinaryIO, file))
            _read(file, kind)
        if not noted:
            with default_storage.open(name, "r+b") as file:  # where it is: it may go meanwhile
                content = file.read()
                file.write(with_digest(content)[len(content) :])
    except (OSError, *DAMAGE) as error:
        if isinstance(error, OSError) and error.errno not in UNREADABLE:
            raise
        raise NotKept(f"What was found in track {track_id} for {space} is damaged.") from error


def forget_kept(space: str, track_id: int) -> None:
    """Delete the kept representation; a no-op when there is none."""
    default_storage.delete(kept_name(space, track_id))
