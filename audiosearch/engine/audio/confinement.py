"""What the kernel keeps the decoder process from, once it has loaded its libraries; Linux only.

By bare system calls: what there is on PyPI for seccomp wants a C library under the LGPL, and for
Landlock knows none of its later versions.
"""

import ctypes
import os
import struct
import sys
import sysconfig
from contextlib import suppress
from pathlib import Path
from typing import Any

from audiosearch.engine.audio.syscalls import seccomp_filter

NO_NEW_PRIVILEGES, SECCOMP, LANDLOCK = "no new privileges", "seccomp", "Landlock"
PROTECTIONS = (NO_NEW_PRIVILEGES, LANDLOCK, SECCOMP)

_PR_SET_NO_NEW_PRIVS = 38
_SECCOMP = {"x86_64": 317, "aarch64": 277}
_SECCOMP_SET_MODE_FILTER, _SECCOMP_FILTER_FLAG_TSYNC = 1, 1
# Landlock's numbers are the same on every machine.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_CREATE_RULESET_VERSION = 1
_RULE_PATH_BENEATH = 1
_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}
"""How many rights to files each version knows; 16 from the fifth on."""
_TCP, _SCOPES = 0b11, 0b11  # bind and connect; abstract sockets and signals of others


class _Filter(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_char_p)]


def confine() -> tuple[str, ...]:
    """Give up what decoding does not need, for good; returns which of PROTECTIONS hold.

    Files: only the code of Python and of the engine may be opened, to be read. Everything else:
    see `syscalls`. What this kernel does not have is left out.
    """
    if sys.platform != "linux":
        return ()
    libc = ctypes.CDLL(None, use_errno=True)
    held = []
    for name, begin in zip(PROTECTIONS, (_no_new_privileges, _landlock, _seccomp), strict=True):
        with suppress(OSError, KeyError):  # not in this kernel, or not allowed by a container
            begin(libc)
            held.append(name)
    return tuple(held)


def _no_new_privileges(libc: ctypes.CDLL) -> None:
    _checked(libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))


def _seccomp(libc: ctypes.CDLL) -> None:
    machine = os.uname().machine
    code = seccomp_filter(machine, os.getpid())
    program = _Filter(len(code) // 8, code)
    _call(
        libc,
        _SECCOMP[machine],
        _SECCOMP_SET_MODE_FILTER,
        _SECCOMP_FILTER_FLAG_TSYNC,
        ctypes.byref(program),
    )


def _landlock(libc: ctypes.CDLL) -> None:
    version = _call(libc, _CREATE_RULESET, None, 0, _CREATE_RULESET_VERSION)
    files = (1 << _FILE_RIGHTS.get(version, 16)) - 1
    rights = [files, *([_TCP] if version >= 4 else []), *([_SCOPES] if version >= 6 else [])]
    told = struct.pack(f"={len(rights)}Q", *rights)
    ruleset = _call(libc, _CREATE_RULESET, told, len(told), 0)
    try:
        for folder in _code():
            with suppress(FileNotFoundError, NotADirectoryError):
                _allow_reading(libc, ruleset, folder)
        _call(libc, _RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _allow_reading(libc: ctypes.CDLL, ruleset: int, folder: Path) -> None:
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        rule = struct.pack("=Qi", _READ_FILE | _READ_DIR, descriptor)
        _call(libc, _ADD_RULE, ruleset, _RULE_PATH_BENEATH, rule, 0)
    finally:
        os.close(descriptor)


def _code() -> set[Path]:
    """Where modules are loaded from, also late: codecs of text, for instance."""
    kinds = ("stdlib", "platstdlib", "purelib", "platlib")
    return {*(Path(sysconfig.get_path(kind)) for kind in kinds), Path(__file__).parents[1]}


def _call(libc: ctypes.CDLL, *arguments: Any) -> int:
    """A system call by its number; integers as wide as registers."""
    wide = (ctypes.c_long(one) if isinstance(one, int) else one for one in arguments)
    return _checked(libc.syscall(*wide))


def _checked(answer: int) -> int:
    if answer < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return answer
