"""Packages that only some work needs, and how they are installed when it is asked for.

The service runs without them. The packages of an extra are in `requirements-<extra>.txt`.

    python -m audiosearch.engine.extras EXTRA
"""

import fcntl
import importlib
import os
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from audiosearch.engine.errors import ExtraMissing

Result = TypeVar("Result")
ROOT = Path(__file__).parents[2]
EXTRAS = {
    "torch": "PyTorch, which exports and trains models",
    "wavlm": "PyTorch with transformers, which export and train WavLM",
    "plots": "matplotlib, which draws the plots",
}


@contextmanager
def needs(extra: str) -> Iterator[None]:
    """Turn the missing import of a package into ExtraMissing, which names the remedy."""
    try:
        yield
    except ModuleNotFoundError as error:
        what = f"{EXTRAS[extra]}, is not installed (no {error.name})"
        raise ExtraMissing(extra, f"{what}. {_remedy(extra)}") from error


def with_extras(work: Callable[[], Result], say: Callable[[str], object]) -> Result:
    """What `work` returns; when it lacks an extra, that is installed and `work` called again."""
    try:
        return work()
    except ExtraMissing as missing:
        say(f"Installing {EXTRAS[missing.extra]}; this is done once and takes some minutes …")
        install_extra(missing.extra)
        return work()


def may_install() -> bool:
    """Whether this runs in a virtual environment that it may write to."""
    own = sys.prefix != sys.base_prefix
    return own and os.access(sysconfig.get_path("purelib"), os.W_OK)


def install_extra(extra: str) -> None:
    """Install an extra into the running environment, by pip. Raises ExtraMissing."""
    if not may_install():
        raise ExtraMissing(extra, f"This may not install {EXTRAS[extra]}. {_remedy(extra)}")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-input", "-r", _file(extra)]
    with (Path(sys.prefix) / ".extras.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two pips in one environment overwrite each other
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["pip said nothing"])[-1]
        what = f"{EXTRAS[extra]}, could not be installed: {last}"
        raise ExtraMissing(extra, f"{what}. {_remedy(extra)}")
    importlib.invalidate_caches()


def _remedy(extra: str) -> str:
    command = f"{sys.executable} -m pip install -r {_file(extra)}"
    image = f"docker compose build --build-arg EXTRAS={extra}"
    return f"Install it: {command} (in Docker, build the image with it: {image})"


def _file(extra: str) -> str:
    return str(ROOT / f"requirements-{extra}.txt")


if __name__ == "__main__":
    try:
        install_extra(sys.argv[1])
    except ExtraMissing as missing:
        sys.exit(str(missing))
