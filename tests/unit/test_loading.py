"""Programs load without the garbage collector, and run with it."""

import gc
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from audiosearch.loading import loading

ROOT = Path(__file__).parents[2]


def test_the_collector_is_back_even_after_an_error() -> None:
    with suppress(LookupError), loading():
        assert not gc.isenabled()
        raise LookupError
    assert gc.isenabled()


@pytest.mark.parametrize("program", ["audiosearch.background", "audiosearch.wsgi"])
def test_what_was_loaded_is_left_alone(program: str) -> None:
    code = f"import gc, {program}; print(gc.isenabled(), gc.get_freeze_count() > 10_000)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout == "True True\n", done.stderr
