"""The registry of encoders: one line each, imported on first use."""

import os
from collections import defaultdict
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from threading import Lock

from audiosearch.engine.analyzers.base import Encoder, EncoderSpec
from audiosearch.engine.errors import ModelUnavailable

ENCODERS = {
    "spectral": "audiosearch.engine.analyzers.embedding.spectral.Spectral",
    "panns_cnn14": "audiosearch.engine.analyzers.embedding.panns.Cnn14",
    "resemblyzer": "audiosearch.engine.analyzers.speaker.resemblyzer.Resemblyzer",
    "ecapa": "audiosearch.engine.analyzers.speaker.ecapa.Ecapa",
    "wavlm": "audiosearch.engine.analyzers.speaker.wavlm.WavLm",
}

# Since 1.29 ONNX Runtime reports to Microsoft which models are loaded, and keeps an identifier in
# the home folder, unless this is set before its import. See Privacy.md in its package.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

_trained: dict[str, type[Encoder]] = {}
_loading: defaultdict[str, Lock] = defaultdict(Lock)


def add_trained(models_dir: Path) -> None:
    """Let the encoders that were trained into this folder be known by their names."""
    from audiosearch.engine.analyzers.speaker.trained import DESCRIPTION, trained_encoder

    for path in models_dir.glob(f"*/{DESCRIPTION}"):
        _trained[path.parent.name] = trained_encoder(path.parent)


def encoder_names() -> list[str]:
    """Names of all encoders, those trained here last."""
    return [*ENCODERS, *sorted(_trained)]


def encoder_class(name: str) -> type[Encoder]:
    """The encoder class registered under `name`; raises ModelUnavailable for an unknown name."""
    if name in _trained:
        return _trained[name]
    if name not in ENCODERS:
        known = ", ".join(encoder_names())
        raise ModelUnavailable(f'There is no encoder "{name}". Known encoders: {known}.')
    module, _, attribute = ENCODERS[name].rpartition(".")
    found: type[Encoder] = getattr(import_module(module), attribute)
    return found


def encoder_spec(name: str) -> EncoderSpec:
    """The declared face of an encoder, without loading its model."""
    return encoder_class(name).spec


def load_encoder(name: str, models_dir: Path, *, threads: int = 0) -> Encoder:
    """The warm encoder of this process: loaded once, under a lock of its own, and shared."""
    with _loading[name]:
        return _load(name, models_dir, threads)


@lru_cache(maxsize=4)
def _load(name: str, models_dir: Path, threads: int) -> Encoder:
    return encoder_class(name)(models_dir, threads=threads)
