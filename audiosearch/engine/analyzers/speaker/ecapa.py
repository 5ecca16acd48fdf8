"""ECAPA-TDNN with the weights that SpeechBrain publishes, run by ONNX Runtime.

Desplanques et al., "ECAPA-TDNN: Emphasized Channel Attention, Propagation and Aggregation in TDNN
Based Speaker Verification", 2020, https://arxiv.org/abs/2005.07143.
"""

from pathlib import Path

from audiosearch.engine.analyzers.base import WeightFile
from audiosearch.engine.analyzers.speaker.onnx_encoder import EXPORT, WaveformEncoder, voice_spec
from audiosearch.engine.arrays import Progress
from audiosearch.engine.errors import ModelUnavailable
from audiosearch.engine.extras import needs

WEIGHTS = WeightFile(
    name="embedding_model.ckpt",
    url=(
        "https://huggingface.co/speechbrain/spkrec-ecapa-voxceleb/resolve/"
        "0f99f2d0ebe89ac095bcc5903c4dd8f72b367286/embedding_model.ckpt"
    ),
    size=83_316_686,
    sha256="0575cb64845e6b9a10db9bcb74d5ac32b326b8dc90352671d345e2ee3d0126a2",
    licence="Apache-2.0",
)


class Ecapa(WaveformEncoder):
    """192-d embeddings of speech, trained on VoxCeleb 1 and 2."""

    spec = voice_spec(
        name="ecapa",
        version=1,
        title="ECAPA-TDNN (VoxCeleb)",
        dimension=192,
        licence="Apache-2.0",
        source="https://huggingface.co/speechbrain/spkrec-ecapa-voxceleb",
        weights=(WEIGHTS,),
    )

    @classmethod
    def prepare(cls, models_dir: Path, progress: Progress) -> dict[str, float]:
        folder = models_dir / cls.spec.name
        if not (folder / WEIGHTS.name).exists():
            raise ModelUnavailable(f"{WEIGHTS.name} is missing in {folder}.")
        with needs("torch"):
            from audiosearch.engine.analyzers.speaker.ecapa_network import load_speechbrain
            from audiosearch.engine.analyzers.speaker.onnx_export import export_checked

        return export_checked(load_speechbrain(folder / WEIGHTS.name), folder / EXPORT)
