"""The process behind `sandbox`: decodes the files that it is handed over its standard input."""

import io
import json
import math
import os
import resource
import signal
import socket
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from audiosearch.engine.audio import decoding, playback
from audiosearch.engine.audio.choice import ChosenPath
from audiosearch.engine.audio.confinement import confine
from audiosearch.engine.audio.messages import HEADER, PLACE, Budget
from audiosearch.engine.audio.placed import Placed
from audiosearch.engine.errors import AudioError

MEMORY_BYTES = 512 * 2**20
"""Beside what the libraries take themselves."""
OPEN_FILES = 64
BUFFER_BYTES = 1 << 16


def main() -> None:
    """Answer until nobody can ask any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for who started us
    with socket.socket(fileno=os.dup(0)) as line:
        _tell(line, b"r", json.dumps(withdraw()).encode())
        while True:
            request, descriptors, _, _ = socket.recv_fds(line, 65536, 1)
            if not request:
                return
            try:
                _answer(line, json.loads(request), HandedFile(f"/dev/fd/{descriptors[0]}"))
            except BrokenPipeError:
                return  # enough was decoded
            finally:
                os.close(descriptors[0])


def withdraw() -> tuple[str, ...]:
    """Give up all that decoding does not need; returns which of the kernel's protections hold."""
    os.environ.clear()
    _limit()
    return confine()


class HandedFile(ChosenPath):
    """A descriptor that was received; no path of it is opened, which `confine` may not allow."""

    def open(self, *_: Any, **__: Any) -> Any:
        """The file from its beginning, for reading bytes."""
        return io.BufferedReader(_Again(int(self.name)), BUFFER_BYTES)


class _Again(Placed):
    """A descriptor with a place of its own, so that one who reads it does not move another."""

    def __init__(self, descriptor: int) -> None:
        self._file = os.dup(descriptor)

    def readable(self) -> bool:
        return True

    def size(self) -> int:
        return os.fstat(self._file).st_size

    def readinto(self, buffer: Any) -> int:
        data = os.pread(self._file, len(buffer), self.at)
        buffer[: len(data)] = data
        self.at += len(data)
        return len(data)

    def close(self) -> None:
        if not self.closed:
            os.close(self._file)
        super().close()


class _Meter:
    """Lets the kernel end this process when a file takes more of the processor than it may."""

    def __init__(self, budget: Budget) -> None:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        self._budget = budget
        self._used_s = usage.ru_utime + usage.ru_stime
        self._sound_s, self._most_s = 0, 0
        self._limit()

    def heard(self) -> None:
        """Another second of sound."""
        self._sound_s += 1
        self._limit()

    def _limit(self) -> None:
        most_s = math.ceil(self._used_s + self._budget.for_sound(self._sound_s))
        if most_s != self._most_s:
            self._most_s = most_s
            hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
            resource.setrlimit(resource.RLIMIT_CPU, (most_s, hard))


def _answer(line: socket.socket, asked: dict[str, Any], path: HandedFile) -> None:
    meter = _Meter(Budget(**asked.pop("budget")))
    path.stream = asked.pop("stream")

    def beat() -> None:
        meter.heard()
        _tell(line, b"p", b"")

    def send(place: int, piece: bytes) -> None:
        _tell(line, b"d", PLACE.pack(place) + piece)

    try:
        call = asked.pop("call")
        if call == "inspect":
            found = decoding.inspect(path, **asked, beat=beat)
            _tell(line, b"d", json.dumps(asdict(found)).encode())
        elif call == "browser_type":
            _tell(line, b"d", playback.browser_type(path).encode())
        elif call == "flac":
            playback.write_flac(path, send, beat=beat)
        else:
            last = asked["sample_rates"][-1]
            for rate, block in decoding.stream_rates(path, **asked):
                _tell(line, b"d", np.ascontiguousarray(block, np.float32).tobytes())
                if rate == last:
                    meter.heard()
        _tell(line, b"z", b"")
    except BrokenPipeError:
        raise
    except AudioError as error:
        _tell_error(line, type(error).__name__, str(error))
    except Exception as error:  # noqa: BLE001 - whatever it is, it comes of this file
        broken = f"The file is damaged: it breaks the decoder ({type(error).__name__})."
        _tell_error(line, "CorruptAudio", broken)


def _tell_error(line: socket.socket, kind: str, message: str) -> None:
    _tell(line, b"e", json.dumps({"kind": kind, "message": message}).encode())


def _tell(line: socket.socket, kind: bytes, payload: bytes) -> None:
    line.sendall(HEADER.pack(kind, len(payload)) + payload)


def _limit() -> None:
    """So much memory and so many files for this process; no core dumps, nothing written."""
    if sys.platform == "linux":
        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        most = taken + MEMORY_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, OPEN_FILES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


if __name__ == "__main__":
    main()
