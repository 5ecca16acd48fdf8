"""What strangers send is decoded in the decoder process and nowhere else."""

from pathlib import Path

from tests.imports import imported

ROOT = Path(__file__).parents[2]
DECODERS = tuple(f"audiosearch.engine.audio.{name}" for name in ("decoding", "opening"))
ALLOWED = {
    "audiosearch/engine/audio/decoding.py",
    "audiosearch/engine/audio/playback.py",
    "audiosearch/engine/audio/worker.py",
    "tests/unit/test_audio.py",
    "tests/unit/test_sandbox.py",
}


def importers(module: str) -> set[str]:
    folders = ("audiosearch", "apps", "benchmarks", "tests", "scripts")
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    return {path.relative_to(ROOT).as_posix() for path in paths if module in imported(path)}


def test_only_the_decoder_process_and_its_tests_import_the_decoder() -> None:
    assert set().union(*map(importers, DECODERS)) == ALLOWED


def test_only_the_decoder_loads_ffmpeg_in_the_engine() -> None:
    found = {path for path in importers("av") if path.startswith("audiosearch/")}
    loaders = ("containers", "playback", "sound")
    assert found == {f"audiosearch/engine/audio/{name}.py" for name in loaders}
