"""What every encoder is: a model with a declared input, and vectors of a declared space."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
Progress = Callable[[str, int, int], None]
"""Called with (what, done, total), for example ("download", bytes_done, bytes_total)."""


@dataclass(frozen=True)
class WeightFile:
    """A file of an encoder, where it is published, and how to know it is the right one.

    Without an optional file the encoder serves, and says less. Size 0 and an empty digest mean
    that they are not published: then the address must name a revision, and the file is noted as
    unverified.
    """

    name: str
    url: str
    licence: str
    size: int = 0
    sha256: str = ""
    optional: bool = False


@dataclass(frozen=True)
class EncoderSpec:
    """The declared face of an encoder; readable without loading any model."""

    name: str
    version: int
    title: str
    dimension: int
    sample_rate: int
    min_ms: int
    window_ms: int
    hop_ms: int
    licence: str
    source: str
    metric: str = "COSINE"
    hears: Literal["sounds", "voices"] = "sounds"
    weights: tuple[WeightFile, ...] = ()

    @property
    def space(self) -> str:
        """Name of the space its vectors live in; vectors of two spaces are never compared."""
        return f"{self.name}-v{self.version}"


@dataclass(frozen=True)
class Encoded:
    """What an encoder hears in a batch of n windows.

    embeddings: (n, dimension) float32, each of unit length.
    tag_probabilities: (n, len(tag_names)) float32 in 0..1, or None when the model gives no tags.
    """

    embeddings: FloatArray
    tag_probabilities: FloatArray | None = None


class Encoder(ABC):
    """A loaded model. Subclasses write `__init__` (load) and `encode`; see `docs/encoders.md`.

    One instance may be called from several threads at once.
    """

    spec: ClassVar[EncoderSpec]
    tag_names: tuple[str, ...] = ()

    @abstractmethod
    def __init__(self, models_dir: Path, *, threads: int = 0) -> None:
        """Load the model from `models_dir/<spec.name>/`; threads 0 means all cores.

        Raises ModelUnavailable, saying which command to run, when its files are missing.
        """

    @abstractmethod
    def encode(self, windows: FloatArray) -> Encoded:
        """Encode windows of one length.

        windows: (n, samples) float32 mono in -1..1 at `spec.sample_rate`; at least `spec.min_ms`
        and at most `spec.window_ms` long.
        """

    @classmethod
    def state(cls, models_dir: Path) -> str:
        """One of "ready", "needs export", "missing"; reads the disk, loads nothing."""
        return "ready"

    @classmethod
    def prepare(cls, models_dir: Path, progress: Progress) -> dict[str, float]:
        """Do the one-time work between having the weight files and loading them (an export).

        Returns what was checked, by name, for the terminal. Raises ModelUnavailable when the
        result is not faithful to the original model.
        """
        return {}
