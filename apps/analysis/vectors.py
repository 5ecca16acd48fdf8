"""The embeddings of each track, kept beside the index so that it can be rebuilt without them."""

import io
import zipfile
from dataclasses import dataclass

import numpy as np
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from numpy.typing import NDArray

from audiosearch.engine.arrays import FloatArray


class VectorsMissing(Exception):
    """The kept vectors of a track are not there, or cannot be read."""


@dataclass(frozen=True)
class Vectors:
    """embeddings: (n, dimension) float32 of unit length; spans: (n, 2) int64, start, end in ms."""

    embeddings: FloatArray
    spans: NDArray[np.int64]

    @property
    def span_pairs(self) -> list[tuple[int, int]]:
        """The spans as the index takes them."""
        return [(int(start), int(end)) for start, end in self.spans]


def space_folder(space: str) -> str:
    """Where in the storage the vectors of a space are kept."""
    return f"vectors/{space}"


def vectors_name(space: str, track_id: int) -> str:
    """Where in the storage the vectors of a track are kept."""
    return f"{space_folder(space)}/{track_id // 1000:06d}/{track_id}.npz"


def save_vectors(space: str, track_id: int, vectors: Vectors) -> None:
    """Keep the vectors, replacing what was there."""
    buffer = io.BytesIO()
    np.savez(buffer, embeddings=vectors.embeddings, spans=vectors.spans)
    delete_vectors(space, track_id)
    default_storage.save(vectors_name(space, track_id), ContentFile(buffer.getvalue()))


def load_vectors(space: str, track_id: int) -> Vectors:
    """The kept vectors; raises VectorsMissing when they are gone or damaged."""
    try:
        with default_storage.open(vectors_name(space, track_id)) as file, np.load(file) as kept:
            return Vectors(kept["embeddings"], kept["spans"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise VectorsMissing(f"The vectors of track {track_id} in {space} are missing.") from error


def delete_vectors(space: str, track_id: int) -> None:
    """Forget the kept vectors; a no-op when there are none."""
    default_storage.delete(vectors_name(space, track_id))
