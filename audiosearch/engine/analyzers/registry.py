"""The registry of analyzers: one line each, imported on first use."""

from collections import defaultdict
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from threading import Lock

from audiosearch.engine.analyzers.base import Analyzer, AnalyzerSpec, Encoder
from audiosearch.engine.errors import ModelUnavailable

ANALYZERS = {
    "spectral": "audiosearch.engine.analyzers.embedding.spectral.Spectral",
    "panns_cnn14": "audiosearch.engine.analyzers.embedding.panns.Cnn14",
    "mn10": "audiosearch.engine.analyzers.embedding.mobilenet.Mn10",
    "mn04": "audiosearch.engine.analyzers.embedding.mobilenet.Mn04",
    "resemblyzer": "audiosearch.engine.analyzers.speaker.resemblyzer.Resemblyzer",
    "ecapa": "audiosearch.engine.analyzers.speaker.ecapa.Ecapa",
    "wavlm": "audiosearch.engine.analyzers.speaker.wavlm.WavLm",
    "waveform": "audiosearch.engine.analyzers.waveform.peaks.WaveformPeaks",
    "landmarks": "audiosearch.engine.analyzers.landmarks.analyzer.LandmarkAnalyzer",
    "melody": "audiosearch.engine.analyzers.melody.analyzer.Melody",
    "melody_both": "audiosearch.engine.analyzers.melody.analyzer.MelodyByBoth",
}

_trained: dict[str, type[Encoder]] = {}
_loading: defaultdict[str, Lock] = defaultdict(Lock)


def add_trained(models_dir: Path) -> None:
    """Let the encoders that were trained into this folder be known by their names."""
    from audiosearch.engine.analyzers.speaker.trained import DESCRIPTION, trained_encoder

    for path in models_dir.glob(f"*/{DESCRIPTION}"):
        _trained[path.parent.name] = trained_encoder(path.parent)


def analyzer_names(kind: str | None = None) -> list[str]:
    """Names of all analyzers, or of those of one kind; those trained here last."""
    names = [*ANALYZERS, *sorted(_trained)]
    return [name for name in names if kind is None or analyzer_spec(name).kind == kind]


def analyzer_class(name: str) -> type[Analyzer]:
    """The class registered under `name`; raises ModelUnavailable for an unknown name."""
    if name in _trained:
        return _trained[name]
    if name not in ANALYZERS:
        known = ", ".join(analyzer_names())
        raise ModelUnavailable(f'There is no analyzer "{name}". Known analyzers: {known}.')
    module, _, attribute = ANALYZERS[name].rpartition(".")
    found: type[Analyzer] = getattr(import_module(module), attribute)
    return found


def analyzer_spec(name: str) -> AnalyzerSpec:
    """The declared face of an analyzer, without loading its model."""
    return analyzer_class(name).spec


def load_analyzer(name: str, models_dir: Path, *, threads: int = 0) -> Analyzer:
    """The warm analyzer of this process: loaded once, under a lock of its own, and shared."""
    with _loading[name]:
        return _load(name, models_dir, threads)


def load_encoder(name: str, models_dir: Path, *, threads: int = 0) -> Encoder:
    """`load_analyzer` of an encoder; raises ModelUnavailable for an analyzer that is none."""
    encoder = load_analyzer(name, models_dir, threads=threads)
    if not isinstance(encoder, Encoder):
        raise ModelUnavailable(f'The analyzer "{name}" gives no embeddings.')
    return encoder


@lru_cache(maxsize=8)
def _load(name: str, models_dir: Path, threads: int) -> Analyzer:
    return analyzer_class(name)(models_dir, threads=threads)
