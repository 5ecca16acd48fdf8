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
        "from audiosearch.engine.analyzers.registry import ANALYZERS, analyzer_spec\n"
        "[analyzer_spec(name) for name in ANALYZERS]\n"
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
        "from apps.search.queries import embed_query\n"
        "import numpy as np\n"
        "import onnxruntime, tempfile, audiosearch.engine.analyzers.embedding.panns\n"
        "from pathlib import Path\n"
        "from audiosearch.engine.analyzers.registry import load_analyzer, load_encoder\n"
        "with tempfile.TemporaryDirectory() as models:\n"
        "    spectral = load_encoder('spectral', Path(models), threads=1)\n"
        "    embed_query(np.ones(160000, np.float32), spectral)\n"
        "    load_analyzer('resemblyzer', Path(models), threads=1)\n"
        "assert 'torch' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
