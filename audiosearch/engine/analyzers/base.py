"""What every analyzer is: a declared input, and one representation of a recording."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from audiosearch.engine.arrays import FloatArray, Progress


@dataclass(frozen=True)
class WeightFile:
    """A file of an analyzer, where it is published, and how to know it is the right one.

    Without an optional file the analyzer serves, and says less. Size 0 and an empty digest mean
    that they are not published: then the address must name a revision, and the file is noted as
    unverified.
    """

    name: str
    url: str
    licence: str
    size: int = 0
    sha256: str = ""
    optional: bool = False


@dataclass(frozen=True, kw_only=True)
class AnalyzerSpec:
    """The declared face of an analyzer; readable without loading any model.

    kind: what its representations are, for example "embedding", "speaker" or "waveform".
    sample_rate: in Hz; 0 takes whatever rate the recording is decoded at for others.
    """

    name: str
    version: int
    kind: str
    title: str
    sample_rate: int
    licence: str
    source: str
    weights: tuple[WeightFile, ...] = ()

    @property
    def space(self) -> str:
        """Name of the space of its representations; those of two spaces are never compared."""
        return f"{self.name}-v{self.version}"


@dataclass(frozen=True, kw_only=True)
class EncoderSpec(AnalyzerSpec):
    """The face of an encoder: it embeds windows of `window_ms` every `hop_ms`.

    min_ms: of the shortest sound it takes.
    """

    kind: str = "embedding"
    dimension: int
    min_ms: int
    window_ms: int
    hop_ms: int
    metric: str = "COSINE"


@dataclass(frozen=True)
class Representation:
    """What an analyzer makes of a recording; each kind of analyzer has a subclass.

    kept: names of the fields, NumPy arrays all, that are kept as a file.
    """

    kept: ClassVar[tuple[str, ...]] = ()

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The kept fields by name."""
        return {name: getattr(self, name) for name in self.kept}


@dataclass(frozen=True)
class Embeddings(Representation):
    """The windows of a recording as vectors.

    embeddings: (n, dimension) float32 of unit length; spans: (n, 2) int64, start and end in ms.
    tag_probabilities: (len(tag_names),) float32, the highest of each tag in any window; empty when
    the encoder gives none.
    """

    kept = ("embeddings", "spans")

    embeddings: FloatArray
    spans: NDArray[np.int64]
    tag_names: tuple[str, ...] = ()
    tag_probabilities: FloatArray = field(default_factory=lambda: np.zeros(0, np.float32))

    @property
    def span_pairs(self) -> list[tuple[int, int]]:
        """The spans as an index takes them."""
        return [(int(start), int(end)) for start, end in self.spans]


@dataclass(frozen=True)
class Waveform(Representation):
    """The shape of a recording: at most 1,000 peaks, a byte each, 255 the loudest sample of it."""

    peaks: bytes


@dataclass(frozen=True)
class Encoded:
    """What an encoder makes of a batch of n windows.

    embeddings: (n, dimension) float32, each of unit length.
    tag_probabilities: (n, len(tag_names)) float32 in 0..1, or None when the model gives no tags.
    """

    embeddings: FloatArray
    tag_probabilities: FloatArray | None = None


class Analyzer(ABC):
    """A loaded analyzer: an `Encoder` or a `StreamAnalyzer`; see `docs/extending.md`.

    One instance may be called from several threads at once.
    """

    spec: ClassVar[AnalyzerSpec]
    representation: ClassVar[type[Representation]]
    """What it makes of a recording."""

    @abstractmethod
    def __init__(self, models_dir: Path, *, threads: int = 0) -> None:
        """Load the model from `models_dir/<spec.name>/`; threads 0 means all cores.

        Raises ModelUnavailable, saying which command to run, when its files are missing.
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


class Encoder(Analyzer):
    """An analyzer that embeds windows, which are batched across recordings."""

    spec: ClassVar[EncoderSpec]
    representation = Embeddings
    tag_names: tuple[str, ...] = ()

    @abstractmethod
    def encode(self, windows: FloatArray) -> Encoded:
        """Embed windows of one length.

        windows: (n, samples) float32 mono in -1..1 at `spec.sample_rate`; at least `spec.min_ms`
        and at most `spec.window_ms` long.
        """


class Stream(ABC):
    """The analysis of one recording, as its sound passes; called from one thread at a time."""

    @abstractmethod
    def feed(self, block: FloatArray) -> None:
        """Take the next samples, (n,) float32 mono; any n, 0 too."""

    @abstractmethod
    def finish(self) -> Representation:
        """The representation of what was fed."""


class StreamAnalyzer(Analyzer):
    """An analyzer that takes a recording as it is decoded, from beginning to end."""

    @abstractmethod
    def begin(self, duration_ms: int, sample_rate: int) -> Stream:
        """Begin with a recording of about `duration_ms`, which comes at `sample_rate` Hz.

        That is `spec.sample_rate`, or any rate when this is 0.
        """
