"""Dependencies point one way, and no two modules need each other; read from the imports, lazy ones
and those for types included. There are no exceptions."""

import subprocess
import sys
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import pytest

from tests.imports import imported

ROOT = Path(__file__).parents[2]
LAYERS: tuple[tuple[str, ...], ...] = (
    ("audiosearch.engine",),
    (
        *("audiosearch.database_damage", "audiosearch.environment", "audiosearch.schedule"),
        *("audiosearch.loading", "audiosearch.file_broker"),
    ),
    ("audiosearch.database_version", "audiosearch.web"),
    ("audiosearch.celery",),
    ("apps.access", "apps.jobs"),
    ("apps.catalog",),
    ("apps.analysis",),
    ("apps.search", "apps.voices"),
    ("apps.discovery", "apps.monitoring"),
    ("apps.ops",),
    ("audiosearch.settings", "audiosearch.api_urls", "audiosearch.urls"),
    ("audiosearch.background", "audiosearch.wsgi"),
    ("audiosearch.asgi",),
)
"""Each imports from those above it, and from nothing beside or below it."""
ENGINE_IMPORTS_NOT = ("django", "rest_framework", "celery", "apps")


def imports() -> dict[str, set[str]]:
    """The modules of this project that each of its modules imports."""
    paths = {
        _name(path): path
        for folder in ("apps", "audiosearch")
        for path in (ROOT / folder).rglob("*.py")
        if "migrations" not in path.parts
    }
    return {
        name: {other for other in imported(path) if other in paths and other != name}
        for name, path in paths.items()
    }


def _name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def _layer(module: str) -> tuple[int, str]:
    """Number of its layer, and its part of it."""
    for number, parts in enumerate(LAYERS):
        for part in parts:
            if module == part or module.startswith(f"{part}."):
                return number, part
    return -1, module


def test_every_module_is_in_a_layer() -> None:
    homeless = {name for name in imports() if _layer(name)[0] < 0}
    assert homeless == {"apps", "audiosearch"}


def test_imports_point_one_way() -> None:
    wrong = []
    for module, others in imports().items():
        number, part = _layer(module)
        for other in others:
            there, its_part = _layer(other)
            if there > number or (there == number and its_part != part):
                wrong.append(f"{module} imports {other}")
    assert not wrong, "\n".join(wrong)


def test_no_two_modules_need_each_other() -> None:
    circles = [circle for circle in _circles(imports()) if len(circle) > 1]
    assert not circles, "\n".join(" <-> ".join(sorted(circle)) for circle in circles)


def _circles(graph: dict[str, set[str]]) -> list[set[str]]:
    """The strongly connected parts of a graph (Tarjan 1972, doi:10.1137/0201010)."""
    number: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[set[str]] = []

    def visit(node: str) -> None:
        number[node] = low[node] = len(number)
        stack.append(node)
        for other in sorted(graph[node]):
            if other not in number:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], number[other])
        if low[node] == number[node]:
            circle = set(stack[stack.index(node) :])
            del stack[stack.index(node) :]
            found.append(circle)

    for node in graph:
        if node not in number:
            visit(node)
    return found


def test_circles_would_be_found() -> None:
    graph = defaultdict(set, {a: {b} for a, b in pairwise("abca")} | {"d": {"a"}})
    assert max(_circles(graph), key=len) == {"a", "b", "c"}


def test_the_engine_knows_nothing_of_django() -> None:
    for path in (ROOT / "audiosearch/engine").rglob("*.py"):
        for name in imported(path):
            assert name.partition(".")[0] not in ENGINE_IMPORTS_NOT, f"{path} imports {name}"


@pytest.mark.parametrize(
    "code",
    [
        "import audiosearch.engine.audio.sandbox, audiosearch.engine.indexes.milvus\n"
        "from audiosearch.engine.analyzers.registry import ANALYZERS, analyzer_spec\n"
        "[analyzer_spec(name) for name in ANALYZERS]\n"
        "heavy = {'av', 'django', 'torch', 'pymilvus', 'librosa', 'panns_inference'}\n",
        "import os\n"
        "os.environ['DJANGO_SETTINGS_MODULE'] = 'tests.settings'\n"
        "import audiosearch.wsgi, audiosearch.urls\n"
        "from django.test import Client\n"
        "assert Client(headers={'host': 'localhost'}).get('/api/v1/live/').status_code == 200\n"
        "import tempfile\n"
        "from pathlib import Path\n"
        "import audiosearch.engine.analyzers.embedding.panns\n"
        "from audiosearch.engine.analyzers.registry import load_encoder\n"
        "import numpy as np\n"
        "with tempfile.TemporaryDirectory() as models:\n"
        "    load_encoder('spectral', Path(models)).encode(np.ones((1, 160000), np.float32))\n"
        "    load_encoder('resemblyzer', Path(models), threads=1)\n"
        "heavy = {'torch', 'librosa', 'matplotlib'}\n",
    ],
    ids=["engine", "web"],
)
def test_what_is_heavy_is_not_loaded(code: str) -> None:
    code += "import sys\nloaded = heavy & set(sys.modules)\nassert not loaded, loaded\n"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
