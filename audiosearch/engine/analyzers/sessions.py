"""ONNX Runtime sessions, as all encoders open them."""

import os
from pathlib import Path
from typing import Any

from audiosearch.engine.errors import ModelUnavailable

# Since 1.29 ONNX Runtime reports to Microsoft which models are loaded, and keeps an identifier in
# the home folder, unless this is set before its import. See Privacy.md in its package.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def open_session(path: Path, threads: int) -> Any:
    """An ONNX Runtime session on the GPU when its ONNX Runtime has one, else on `threads` cores.

    Raises ModelUnavailable when the file is damaged.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or os.cpu_count() or 1
    # Threads that spin while they wait take the core from decoding and from the index.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    # TensorFloat-32, the default on a GPU, would not pass the comparison with PyTorch.
    known = {"CUDAExecutionProvider": {"use_tf32": "0"}, "CPUExecutionProvider": {}}
    here = [(name, known[name]) for name in known if name in onnxruntime.get_available_providers()]
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=here)
    except Exception as error:
        raise ModelUnavailable(
            f"{path} cannot be loaded ({error}); delete it and pull its encoder again."
        ) from error
