"""Functions compiled by numba, which is loaded by whoever imports a module of such functions.

Keep those modules (`kernels.py`, `…_kernels.py`) out of what a process imports as it starts.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """`function` as machine code, which gives up the GIL and is kept on disk where there is room.

    Numba keeps it in NUMBA_CACHE_DIR, beside the module or in the user's cache, whichever can be
    written; where none can, it is compiled anew in each process.
    """
    try:
        made: Function = njit(cache=True, nogil=True)(function)
    except RuntimeError:  # numba: "no locator available", all of these are read-only
        made = njit(nogil=True)(function)
    return made
