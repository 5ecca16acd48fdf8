"""The only way to samples: files are decoded in processes of their own, which can be killed.

FFmpeg reads what strangers send, in C. A file that crashes it, hangs it, or asks for too much
memory or time ends its decoder and is refused; the caller lives on. A decoder reads one file at a
time, and the next one when it has come through; one is always kept. Whoever takes a decoder over
finds no network, no secrets and no files: see `confinement`.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import asdict
from itertools import cycle
from pathlib import Path
from threading import BoundedSemaphore, Lock
from typing import Any, BinaryIO

import numpy as np

from audiosearch.engine import errors
from audiosearch.engine.arrays import FloatArray
from audiosearch.engine.audio.choice import stream_of
from audiosearch.engine.audio.formats import AudioInfo
from audiosearch.engine.audio.messages import DEFAULT_BUDGET, HEADER, LARGEST, PLACE, Budget
from audiosearch.engine.errors import AudioError, Busy, CorruptAudio, TooCostly

STALL_S = 20
"""So long a decoder may work at the next second of sound."""
SHARED = 4
"""So many times a budget may pass on the clock, as others use the processor, too."""
START_S = 60
MOST = 16
"""Decoders at once; each takes some 50 MB."""
MAX_FILES = 200
"""After so many a decoder is replaced, lest what one file leaves behind harm another."""
IDLE_S = 60
"""So long those are kept that more files at once would need."""
TOO_COSTLY = (
    "Decoding this takes too long; choose a shorter stretch, or convert it first, for instance to "
    "FLAC at 48 kHz in stereo."
)
NO_DECODER = "No decoder can be started; try again in a moment."
# A decoder uses one core; the pools of these libraries would only take memory.
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
LOADING = ("LD_LIBRARY_PATH", "PYTHONPATH")
"""All that a decoder is told of the environment, if it is set: where its libraries are."""


def inspect(
    path: Path,
    *,
    max_duration_ms: int,
    thorough: bool = True,
    budget: Budget = DEFAULT_BUDGET,
) -> AudioInfo:
    """What a file is, after making sure that it can be decoded.

    Files up to ten minutes (and files that do not say how long they are) are decoded whole,
    longer ones until something sounds, for ten minutes at most; thorough=False always stops so.
    Raises the AudioError that says what is wrong: unsupported, empty, corrupt (also when the file
    breaks the decoder), too short, too long or silent, too costly, without the sound track that was
    chosen (`choice.with_stream`); and Busy.
    """
    asked = {"max_duration_ms": max_duration_ms, "thorough": thorough}
    told = b"".join(_answers("inspect", path, asked, budget))
    return AudioInfo(**json.loads(told))


def stream_rates(
    path: Path,
    sample_rates: Sequence[int],
    *,
    start_ms: int = 0,
    end_ms: int | None = None,
    budget: Budget = DEFAULT_BUDGET,
) -> Generator[tuple[int, FloatArray], None, None]:
    """The audio of a file as successive mono blocks of about a second, at several rates at once.

    Yields (rate, samples (n,) float32) between start_ms and end_ms: each block once for every rate
    (Hz) of `sample_rates`, in their order. The file is decoded once, whatever their number, and not
    beyond end_ms.
    Raises UnsupportedAudio, EmptyAudio, CorruptAudio (also when the file breaks the decoder),
    TooCostly, Busy.
    """
    asked = {"sample_rates": sample_rates, "start_ms": start_ms, "end_ms": end_ms}
    answers = _answers("stream", path, asked, budget)
    for rate, block in zip(cycle(sample_rates), answers, strict=False):
        yield rate, np.frombuffer(block, np.float32)


def stream(path: Path, sample_rate: int, **asked: Any) -> Generator[FloatArray, None, None]:
    """`stream_rates` for one rate: (samples,) float32 blocks."""
    for _, block in stream_rates(path, (sample_rate,), **asked):
        yield block


def decode(
    path: Path,
    sample_rate: int,
    *,
    start_ms: int = 0,
    end_ms: int | None = None,
    beat: Callable[[], None] = lambda: None,
) -> FloatArray:
    """`stream`, whole: (samples,) float32; CorruptAudio when there are none.

    beat: called about once for every second of sound, while more of it is awaited.
    """
    blocks = []
    for block in stream(path, sample_rate, start_ms=start_ms, end_ms=end_ms):
        beat()
        blocks.append(block)
    if not any(map(len, blocks)):
        raise CorruptAudio("No sound could be decoded from the file.")
    return np.concatenate(blocks)


def browser_type(path: Path) -> str:
    """The media type of a file that browsers play as it is; empty when they need a copy of it.

    Raises UnsupportedAudio, EmptyAudio, CorruptAudio (also when the file breaks the decoder),
    TooCostly, Busy.
    """
    return b"".join(_answers("browser_type", path, {}, DEFAULT_BUDGET)).decode()


def write_flac(path: Path, target: BinaryIO) -> None:
    """Write a copy that every browser plays: FLAC of 16 bits, mono or stereo. Raises the same."""
    for piece in _answers("flac", path, {}, DEFAULT_BUDGET):
        target.seek(*PLACE.unpack_from(piece))
        target.write(piece[PLACE.size :])


class _Decoder:
    """A process that decodes, and the line to it.

    Raises EOFError or OSError when it cannot be started.
    """

    def __init__(self) -> None:
        self.files, self.idle_since = 0, 0.0
        self.line, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "audiosearch.engine.audio.worker"],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                cwd=Path(__file__).parents[3],
                env=ONE_THREAD | {name: os.environ[name] for name in LOADING if name in os.environ},
            )
        try:
            _, told = self.receive(START_S)
        except (EOFError, OSError):
            self.kill()
            raise
        self.protections = tuple(json.loads(told))

    def ask(self, request: dict[str, Any], file: int) -> None:
        """Raises OSError when it has ended."""
        self.line.settimeout(STALL_S)
        socket.send_fds(self.line, [json.dumps(request).encode()], [file])

    def receive(self, within_s: float) -> tuple[bytes, bytearray]:
        """Kind and payload of the next message; raises EOFError or OSError (TimeoutError)."""
        deadline = time.monotonic() + within_s
        kind, length = HEADER.unpack(self._exactly(HEADER.size, deadline))
        if length > LARGEST:
            raise EOFError  # it is none of ours any more
        return kind, self._exactly(length, deadline)

    def _exactly(self, length: int, deadline: float) -> bytearray:
        buffer = bytearray(length)
        left = memoryview(buffer)
        while left:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise TimeoutError
            self.line.settimeout(left_s)
            count = self.line.recv_into(left)
            if not count:
                raise EOFError
            left = left[count:]
        return buffer

    def kill(self) -> int:
        """End it, if it lives; returns what it ended of, as Popen has it."""
        self.line.close()
        self.process.kill()
        return self.process.wait()


class _Pool:
    """The decoders of this process that have nothing to do."""

    def __init__(self) -> None:
        self.idle: list[_Decoder] = []
        self.owner = os.getpid()
        self.lock = Lock()
        self.turns = BoundedSemaphore(MOST)

    def asked(self, request: dict[str, Any], file: int) -> _Decoder:
        """A decoder that has been asked; a new one when none is idle. Raises Busy."""
        while decoder := self._take():
            try:
                decoder.ask(request, file)
            except OSError:  # it has been killed meanwhile
                decoder.kill()
            else:
                return decoder
        try:
            decoder = _Decoder()
            decoder.ask(request, file)
        except (EOFError, OSError) as error:
            raise Busy(NO_DECODER) from error
        return decoder

    def give_back(self, decoder: _Decoder) -> None:
        """Keep a decoder for the next file, and end those that have waited for one for long."""
        decoder.files += 1
        decoder.idle_since = now = time.monotonic()
        with self.lock:
            ended = [each for each in self.idle if each.idle_since < now - IDLE_S]
            self.idle = [each for each in self.idle if each not in ended]
            (ended if decoder.files >= MAX_FILES else self.idle).append(decoder)
        for each in ended:
            each.kill()

    def _take(self) -> _Decoder | None:
        with self.lock:
            if self.owner != os.getpid():  # this is a fork, and they are its parent's
                self.owner, self.idle = os.getpid(), []
            return self.idle.pop() if self.idle else None


_pool = _Pool()


def protections() -> tuple[str, ...]:
    """Which of `confinement.PROTECTIONS` hold for decoders here. Raises Busy when none starts."""
    try:
        decoder = _Decoder()
    except (EOFError, OSError) as error:
        raise Busy(NO_DECODER) from error
    decoder.kill()
    return decoder.protections


def _answers(call: str, path: Path, asked: dict[str, Any], budget: Budget) -> Iterator[bytes]:
    """The data that a decoder answers with, until it has said that this was all."""
    if not _pool.turns.acquire(timeout=START_S):
        raise Busy("Too many files are being read at once; try again in a moment.")
    try:
        yield from _answers_in_turn(call, path, asked, budget)
    finally:
        _pool.turns.release()


def _answers_in_turn(
    call: str, path: Path, asked: dict[str, Any], budget: Budget
) -> Iterator[bytes]:
    request = {"call": call, "budget": asdict(budget), "stream": stream_of(path), **asked}
    with path.open("rb") as file:
        decoder = _pool.asked(request, file.fileno())
    parts = len(asked.get("sample_rates", "1"))
    messages, waited_s, left_s, whole = 0, 0.0, 0.0, False
    try:
        while True:
            left_s = SHARED * budget.for_sound(messages // parts) - waited_s
            began = time.monotonic()
            kind, payload = decoder.receive(min(STALL_S, left_s))
            waited_s += time.monotonic() - began  # not what the caller does between two
            messages += 1
            whole = kind in (b"e", b"z")
            if kind == b"e":
                raise _error(json.loads(payload))
            if whole:
                return
            if kind == b"d":
                yield bytes(payload)
    except TimeoutError as error:
        if left_s < STALL_S:
            raise TooCostly(TOO_COSTLY) from error
        raise CorruptAudio("The file is damaged: decoding it does not come to an end.") from error
    except (EOFError, OSError) as error:
        if decoder.kill() == -signal.SIGXCPU:
            raise TooCostly(TOO_COSTLY) from error
        raise CorruptAudio("The file is damaged: it breaks the decoder.") from error
    finally:
        if whole:
            _pool.give_back(decoder)
        else:  # it hangs, has died, or goes on with what nobody wants
            decoder.kill()


def _error(told: dict[str, str]) -> AudioError:
    kind = getattr(errors, told["kind"], CorruptAudio)
    return kind(told["message"]) if issubclass(kind, AudioError) else CorruptAudio(told["message"])
