"""Forks a decoder for every file that is handed over its standard input; see `sandbox`.

A request is one packet of JSON with two descriptors: the file, and where to answer. An answer is a
row of messages: `p` its process id, `d` data, then `e` an error or `z` the end. The libraries are
loaded here once, so that a fork costs milliseconds.
"""

import ctypes
import gc
import json
import os
import resource
import signal
import socket
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from audiosearch.engine import audio
from audiosearch.engine.errors import AudioError
from audiosearch.engine.sandbox import HEADER

MEMORY_BYTES = 512 * 2**20
"""Beside what the libraries take themselves."""
CPU_S = 900
OPEN_FILES = 64
PR_SET_PDEATHSIG = 1


def main() -> None:
    """Fork until nobody can ask any more."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for who started us
    gc.freeze()
    with socket.socket(fileno=os.dup(0)) as control:
        while True:
            request, descriptors, _, _ = socket.recv_fds(control, 65536, 2)
            if not request:
                return
            if os.fork() == 0:
                control.close()
                _answer(json.loads(request), *descriptors)
            for descriptor in descriptors:
                os.close(descriptor)


def _answer(asked: dict[str, Any], file: int, reply: int) -> None:
    """In the fork: read the file, answer, end."""
    try:
        _limit()
        with socket.socket(fileno=reply) as answers:
            _tell(answers, b"p", os.getpid().to_bytes(8, "little"))
            try:
                _read(answers, Path(f"/dev/fd/{file}"), asked)
                _tell(answers, b"z", b"")
            except AudioError as error:
                _tell_error(answers, type(error).__name__, str(error))
            except BrokenPipeError:
                pass  # enough was heard
            except Exception as error:  # noqa: BLE001 - whatever it is, it comes of this file
                broken = f"The file is damaged: it breaks the decoder ({type(error).__name__})."
                _tell_error(answers, "CorruptAudio", broken)
    finally:
        os._exit(0)


def _read(answers: socket.socket, path: Path, asked: dict[str, Any]) -> None:
    call = asked.pop("call")
    if call == "inspect":
        _tell(answers, b"d", json.dumps(asdict(audio.inspect(path, **asked))).encode())
        return
    for block in audio.stream(path, **asked):
        _tell(answers, b"d", np.ascontiguousarray(block, np.float32).tobytes())


def _tell_error(answers: socket.socket, kind: str, message: str) -> None:
    _tell(answers, b"e", json.dumps({"kind": kind, "message": message}).encode())


def _tell(answers: socket.socket, kind: bytes, payload: bytes) -> None:
    answers.sendall(HEADER.pack(kind, len(payload)) + payload)


def _limit() -> None:
    """So much memory, processor time and files for this process; no core dumps, nothing written."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        most = taken + MEMORY_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, OPEN_FILES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


if __name__ == "__main__":
    main()
