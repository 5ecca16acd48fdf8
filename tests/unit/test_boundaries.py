"""Dependencies point one way: search -> catalog -> engine, and the engine knows no Django."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FORBIDDEN = {
    "audiosearch/engine": ("django", "rest_framework", "celery", "apps"),
    "apps/access": ("apps.catalog", "apps.search", "apps.voices"),
    "apps/catalog": ("apps.search", "apps.voices"),
    "apps/voices": ("apps.search",),
    "apps/search": ("apps.voices",),
}


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_imports_point_one_way(folder: str) -> None:
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            for name in names:
                for forbidden in FORBIDDEN[folder]:
                    assert name != forbidden, f"{path} imports {name}"
                    assert not name.startswith(f"{forbidden}."), f"{path} imports {name}"


def test_the_engine_works_without_django_torch_or_network() -> None:
    code = (
        "import sys\n"
        "import audiosearch.engine.audio.decoding, audiosearch.engine.indexes.milvus\n"
        "from audiosearch.engine.analyzers.registry import ENCODERS, encoder_spec\n"
        "[encoder_spec(name) for name in ENCODERS]\n"
        "heavy = {'django', 'torch', 'pymilvus', 'librosa', 'panns_inference'}\n"
        "loaded = heavy & set(sys.modules)\n"
        "assert not loaded, loaded\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_web_process_never_imports_torch() -> None:
    code = (
        "import sys, os\n"
        "os.environ['DJANGO_SETTINGS_MODULE'] = 'tests.settings'\n"
        "import audiosearch.wsgi, audiosearch.urls\n"
        "from django.test import Client\n"
        "assert Client(headers={'host': 'localhost'}).get('/api/v1/live/').status_code == 200\n"
        "from apps.search.services import _encode_query\n"
        "import numpy as np\n"
        "_encode_query(np.ones(160000, np.float32), 'spectral')\n"
        "import onnxruntime, tempfile, audiosearch.engine.analyzers.embedding.panns\n"
        "from pathlib import Path\n"
        "from audiosearch.engine.analyzers.registry import load_encoder\n"
        "with tempfile.TemporaryDirectory() as models:\n"
        "    load_encoder('resemblyzer', Path(models), threads=1)\n"
        "assert 'torch' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_only_the_decoder_process_decodes() -> None:
    """Everybody else asks the sandbox: a file that crashes FFmpeg must not end who reads it."""
    for folder in ("audiosearch", "apps", "benchmarks"):
        for path in (ROOT / folder).rglob("*.py"):
            if path == ROOT / "audiosearch/engine/audio/worker.py":
                continue
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.ImportFrom):
                    whole = [f"{node.module}.{alias.name}" for alias in node.names]
                    for name in ("", ".decode", ".stream", ".inspect"):
                        assert f"audiosearch.engine.audio.decoding{name}" not in whole, path
                elif isinstance(node, ast.Import):
                    names = [alias.name for alias in node.names]
                    assert "audiosearch.engine.audio.decoding" not in names, path
