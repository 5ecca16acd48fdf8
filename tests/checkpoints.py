"""A checkpoint of Cnn14 in the published format, with random weights: the same code and speed."""

import sys
from pathlib import Path

from audiosearch.engine.encoders.panns import build_torch_model


def write_random_cnn14(path: Path, seed: int = 0) -> Path:
    """Write `{"model": state_dict}`, its batch norms calibrated on noise so that outputs vary."""
    import torch

    torch.manual_seed(seed)
    model = build_torch_model()
    model.train()
    with torch.no_grad():
        for _ in range(3):
            model(torch.randn(4, 64000) * torch.rand(4, 1))
    torch.save({"model": model.state_dict()}, path)
    return path


if __name__ == "__main__":
    write_random_cnn14(Path(sys.argv[1]))
