"""WavLM with an x-vector head, run by ONNX Runtime.

Chen et al., "WavLM: Large-Scale Self-Supervised Pre-Training for Full Stack Speech Processing",
2021, https://arxiv.org/abs/2110.13900. The revision in the addresses says which files these are;
their digests are not published.
"""

from pathlib import Path

from audiosearch.engine.analyzers.base import WeightFile
from audiosearch.engine.analyzers.speaker.onnx_encoder import EXPORT, WaveformEncoder, voice_spec
from audiosearch.engine.arrays import Progress
from audiosearch.engine.errors import ModelUnavailable
from audiosearch.engine.extras import needs

REPOSITORY = "https://huggingface.co/microsoft/wavlm-base-plus-sv"
REVISION = "feb593a6c23c1cc3d9510425c29b0a14d2b07b1e"
LICENCE = "CC BY-SA 3.0"
FILES = tuple(
    WeightFile(name=name, url=f"{REPOSITORY}/resolve/{REVISION}/{name}", licence=LICENCE)
    for name in ("config.json", "preprocessor_config.json", "pytorch_model.bin")
)


class WavLm(WaveformEncoder):
    """512-d embeddings of speech, trained on VoxCeleb 1."""

    spec = voice_spec(
        name="wavlm",
        version=1,
        title="WavLM Base+ x-vector",
        dimension=512,
        licence=LICENCE,
        source=REPOSITORY,
        weights=FILES,
    )

    @classmethod
    def prepare(cls, models_dir: Path, progress: Progress) -> dict[str, float]:
        folder = models_dir / cls.spec.name
        missing = [file.name for file in FILES if not (folder / file.name).exists()]
        if missing:
            raise ModelUnavailable(f"In {folder} these are missing: {', '.join(missing)}.")
        with needs("wavlm"):
            from audiosearch.engine.analyzers.speaker.onnx_export import export_checked
            from audiosearch.engine.analyzers.speaker.wavlm_network import load_wavlm

        return export_checked(load_wavlm(folder), folder / EXPORT)
