"""Melodies: by what a tune is found, however it is sung, hummed or played; see docs/tunes.md."""

from dataclasses import dataclass, replace
from pathlib import Path

from audiosearch.engine.analyzers.base import AnalyzerSpec, Stream, StreamAnalyzer
from audiosearch.engine.tunes.analysis import TuneStream
from audiosearch.engine.tunes.projection import DIMENSION
from audiosearch.engine.tunes.representation import Tune
from audiosearch.engine.tunes.salience import SAMPLE_RATE
from audiosearch.engine.tunes.second_opinion import SecondOpinion


@dataclass(frozen=True, kw_only=True)
class MelodySpec(AnalyzerSpec):
    """dimension: of the vectors that an index holds of a tune's windows."""

    kind: str = "melody"
    sample_rate: int = SAMPLE_RATE
    dimension: int = DIMENSION


class Melody(StreamAnalyzer):
    """How strongly each pitch sounds, and which one leads, five times a second."""

    representation = Tune
    spec = MelodySpec(
        name="melody",
        version=2,
        title="Melody",
        licence="Apache-2.0",
        source="docs/tunes.md",
    )
    second: SecondOpinion | None = None

    def __init__(self, models_dir: Path, *, threads: int = 0) -> None:
        """Nothing is loaded."""

    def begin(self, duration_ms: int, sample_rate: int) -> Stream:
        return TuneStream(self.second)


class MelodyByBoth(Melody):
    """The same, and what basic-pitch's network hears beside."""

    spec = replace(Melody.spec, name="melody_both", title="Melody, with basic-pitch")

    def __init__(self, models_dir: Path, *, threads: int = 0) -> None:
        """The network is loaded with the first recording; `threads` is always one."""
        self.second = SecondOpinion()
