"""The decoder where it can be killed: every file is read in a process of its own.

FFmpeg reads what strangers send, in C. A file that crashes it, hangs it or asks for too much memory
ends its own process and is refused; the caller lives on. `sandbox_server` forks these processes.
"""

import json
import os
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from audiosearch.engine import errors
from audiosearch.engine.audio import AudioInfo
from audiosearch.engine.encoders.base import FloatArray
from audiosearch.engine.errors import AudioError, Busy, CorruptAudio

HEADER = struct.Struct("<cI")
"""Of every message: its kind and its length in bytes; see sandbox_server."""
STALL_S = 20
"""So long a decoder may work at the next second of sound."""
INSPECT_S = 60
"""So long it may take to find out what a file is."""
START_S = 60

_starting = Lock()
_server: tuple[int, subprocess.Popen[bytes], socket.socket] | None = None


def inspect(path: Path, *, max_duration_ms: int, thorough: bool = True) -> AudioInfo:
    """`audio.inspect` in a process of its own; CorruptAudio when the file breaks the decoder."""
    asked = {"max_duration_ms": max_duration_ms, "thorough": thorough}
    told = b"".join(_messages("inspect", path, asked, INSPECT_S))
    return AudioInfo(**json.loads(told))


def stream(
    path: Path, sample_rate: int, *, start_ms: int = 0, end_ms: int | None = None
) -> Iterator[FloatArray]:
    """`audio.stream` in a process of its own; CorruptAudio when the file breaks the decoder."""
    asked = {"sample_rate": sample_rate, "start_ms": start_ms, "end_ms": end_ms}
    for block in _messages("stream", path, asked, STALL_S):
        yield np.frombuffer(block, np.float32)


def decode(
    path: Path, sample_rate: int, *, start_ms: int = 0, end_ms: int | None = None
) -> FloatArray:
    """`audio.decode` in a process of its own; CorruptAudio when the file breaks the decoder."""
    blocks = list(stream(path, sample_rate, start_ms=start_ms, end_ms=end_ms))
    if not any(map(len, blocks)):
        raise CorruptAudio("No sound could be decoded from the file.")
    return np.concatenate(blocks)


def _messages(call: str, path: Path, asked: dict[str, Any], patience_s: float) -> Iterator[bytes]:
    """What a decoder process answers, until it has said that this was all."""
    ours, theirs = socket.socketpair()
    pid = 0
    with ours:
        with theirs, path.open("rb") as file:
            _send(json.dumps({"call": call, **asked}).encode(), [file.fileno(), theirs.fileno()])
        try:
            ours.settimeout(START_S)
            while True:
                kind, payload = _receive(ours)
                if kind == b"p":
                    pid = int.from_bytes(payload, "little")
                    ours.settimeout(patience_s)
                elif kind == b"d":
                    yield bytes(payload)
                elif kind == b"e":
                    pid = 0
                    raise _error(json.loads(payload))
                else:
                    pid = 0
                    return
        except TimeoutError as error:
            if not pid:
                _stop_server()
                raise Busy("The decoder does not answer; try again in a moment.") from error
            raise CorruptAudio(
                "The file is damaged: decoding it does not come to an end."
            ) from error
        except (EOFError, ConnectionError) as error:
            raise CorruptAudio("The file is damaged: it breaks the decoder.") from error
        finally:
            if pid:  # it may hang, or be of no use any more
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def _error(told: dict[str, str]) -> AudioError:
    kind = getattr(errors, told["kind"], CorruptAudio)
    return kind(told["message"]) if issubclass(kind, AudioError) else CorruptAudio(told["message"])


def _receive(reply: socket.socket) -> tuple[bytes, bytearray]:
    kind, length = HEADER.unpack(_exactly(reply, HEADER.size))
    return kind, _exactly(reply, length)


def _exactly(reply: socket.socket, length: int) -> bytearray:
    buffer = bytearray(length)
    left = memoryview(buffer)
    while left:
        count = reply.recv_into(left)
        if not count:
            raise EOFError
        left = left[count:]
    return buffer


def _send(request: bytes, descriptors: list[int]) -> None:
    """Hand a request to the server; one that has died is started again."""
    try:
        socket.send_fds(_control(), [request], descriptors)
    except (BrokenPipeError, ConnectionResetError):
        _stop_server()
        socket.send_fds(_control(), [request], descriptors)


def _control() -> socket.socket:
    """The line to this process's server, which a fork must not share with its parent."""
    global _server
    with _starting:
        if _server is None or _server[0] != os.getpid():
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                process = subprocess.Popen(
                    [sys.executable, "-m", "audiosearch.engine.sandbox_server"],
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    cwd=Path(__file__).parents[2],
                    env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
                )
            _server = os.getpid(), process, ours
        return _server[2]


def _stop_server() -> None:
    """Forget the server; the next request starts another."""
    global _server
    with _starting:
        if _server is not None and _server[0] == os.getpid():
            _server[1].kill()
            _server[1].wait()
            _server[2].close()
        _server = None
