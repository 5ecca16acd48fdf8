"""What was found in each track, kept as files: indexes are rebuilt from them without analysing."""

import io
import zipfile
from typing import TypeVar

import numpy as np
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from audiosearch.engine.analyzers.base import Representation

ROOT = "vectors"
R = TypeVar("R", bound=Representation)


class NotKept(Exception):
    """The kept representation of a track is not there, or cannot be read."""


def space_folder(space: str) -> str:
    """Where in the storage the representations of a space are kept."""
    return f"{ROOT}/{space}"


def kept_name(space: str, track_id: int) -> str:
    """Where in the storage the representation of a track is kept."""
    return f"{space_folder(space)}/{track_id // 1000:06d}/{track_id}.npz"


def keep(space: str, track_id: int, found: Representation) -> None:
    """Keep the arrays of a representation, replacing what was there."""
    buffer = io.BytesIO()
    np.savez(buffer, **found.arrays())  # type: ignore[arg-type] # numpy's stubs take one as a flag
    forget_kept(space, track_id)
    default_storage.save(kept_name(space, track_id), ContentFile(buffer.getvalue()))


def load_kept(space: str, track_id: int, kind: type[R]) -> R:
    """The kept representation; raises NotKept when it is gone or damaged."""
    try:
        with default_storage.open(kept_name(space, track_id)) as file, np.load(file) as arrays:
            return kind(**{name: arrays[name] for name in kind.kept})
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise NotKept(f"What was found in track {track_id} for {space} is missing.") from error


def forget_kept(space: str, track_id: int) -> None:
    """Delete the kept representation; a no-op when there is none."""
    default_storage.delete(kept_name(space, track_id))
