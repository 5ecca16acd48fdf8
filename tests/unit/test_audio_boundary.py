"""What strangers send is decoded in the decoder process and nowhere else."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
DECODERS = tuple(f"audiosearch.engine.audio.{name}" for name in ("decoding", "opening"))
ALLOWED = {
    "audiosearch/engine/audio/decoding.py",
    "audiosearch/engine/audio/playback.py",
    "audiosearch/engine/audio/worker.py",
    "tests/unit/test_audio.py",
    "tests/unit/test_sandbox.py",
}


def imported(source: str) -> Iterator[str]:
    """The full names of all modules, and of what is taken from them, wherever in the source."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def importers(module: str) -> set[str]:
    folders = ("audiosearch", "apps", "benchmarks", "tests", "scripts")
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    return {
        path.relative_to(ROOT).as_posix()
        for path in paths
        if module in imported(path.read_text(encoding="utf-8"))
    }


def test_only_the_decoder_process_and_its_tests_import_the_decoder() -> None:
    assert set().union(*map(importers, DECODERS)) == ALLOWED


def test_only_the_decoder_loads_ffmpeg_in_the_engine() -> None:
    found = {path for path in importers("av") if path.startswith("audiosearch/")}
    loaders = ("containers", "playback", "sound")
    assert found == {f"audiosearch/engine/audio/{name}.py" for name in loaders}
