"""The one-time step from Resemblyzer's published weights to ONNX, with the proof that both agree.

    python -m audiosearch.engine.analyzers.speaker.resemblyzer_export PRETRAINED.pt TARGET.onnx

Imports PyTorch and librosa, so it runs in a process of its own.
"""

import os
import sys
import warnings
from pathlib import Path

import librosa
import numpy as np
import torch

from audiosearch.engine.analyzers.sessions import open_session
from audiosearch.engine.analyzers.speaker.resemblyzer import FFT, FRAMES, RATE
from audiosearch.engine.analyzers.torch_files import UNREADABLE
from audiosearch.engine.errors import ModelUnavailable

MEL_BANDS = 40
HIDDEN = 256
LAYERS = 3
MAX_DIFFERENCE = 1e-4


class VoiceEncoder(torch.nn.Module):
    """The published network behind a mel filterbank: (n, 160, 201) power to (n, 256) unit vectors.

    Layer names are those of the weight file.
    """

    def __init__(self) -> None:
        super().__init__()
        bands = librosa.filters.mel(sr=RATE, n_fft=FFT, n_mels=MEL_BANDS)
        self.register_buffer("bands", torch.from_numpy(bands.T.copy()), persistent=False)
        self.lstm = torch.nn.LSTM(MEL_BANDS, HIDDEN, LAYERS, batch_first=True)
        self.linear = torch.nn.Linear(HIDDEN, HIDDEN)

    def forward(self, power: torch.Tensor) -> torch.Tensor:
        _, (hidden, _) = self.lstm(torch.matmul(power, self.get_buffer("bands")))
        raw = torch.relu(self.linear(hidden[-1]))
        return raw / torch.clamp(raw.norm(dim=1, keepdim=True), min=1e-9)


def load_torch_model(weights: Path) -> VoiceEncoder:
    """Raises ModelUnavailable when the file does not hold these weights."""
    model = VoiceEncoder()
    try:
        state = torch.load(weights, map_location="cpu", weights_only=True)["model_state"]
        named = {key: state[key] for key in model.state_dict()}
        model.load_state_dict(named)
    except UNREADABLE as error:
        raise ModelUnavailable(f"{weights} does not hold Resemblyzer's weights.") from error
    return model.eval()


def export_checked(weights: Path, path: Path) -> dict[str, float]:
    """Write the network as ONNX to `path`, which appears only once it agrees with PyTorch.

    Returns the largest difference of any value of the unit vectors. Raises ModelUnavailable.
    """
    model = load_torch_model(weights)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with warnings.catch_warnings():  # the tracer's doubts are settled by the comparison
            warnings.simplefilter("ignore")
            torch.onnx.export(
                model,
                (torch.rand(2, FRAMES, FFT // 2 + 1),),
                str(draft),
                input_names=["power"],
                output_names=["embedding"],
                dynamic_axes={"power": {0: "batch"}, "embedding": {0: "batch"}},
                opset_version=17,
                dynamo=False,
            )
        power = np.random.default_rng(0).gamma(0.3, 2.0, (5, FRAMES, FFT // 2 + 1))
        power = power.astype(np.float32)
        ours = open_session(draft, 0).run(None, {"power": power})[0]
        with torch.no_grad():
            theirs = model(torch.from_numpy(power)).numpy()
        difference = float(np.abs(ours - theirs).max())
        if not difference <= MAX_DIFFERENCE:
            raise ModelUnavailable(f"The export differs from PyTorch by {difference:.2e}.")
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return {"largest difference": difference}


if __name__ == "__main__":
    export_checked(Path(sys.argv[1]), Path(sys.argv[2]))
