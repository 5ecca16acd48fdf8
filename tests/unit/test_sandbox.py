"""The decoder in its own process: the same answers, and whatever a file does, the caller lives."""

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audiosearch.engine.audio import decoding as audio
from audiosearch.engine.audio import sandbox
from audiosearch.engine.audio.messages import HEADER, Budget
from audiosearch.engine.errors import (
    CorruptAudio,
    EmptyAudio,
    SilentAudio,
    TooCostly,
    UnsupportedAudio,
)
from tests.audio_files import tone, write_audio, write_nothing

RATE = 16000


@pytest.fixture
def long(tmp_path: Path) -> Path:
    """Longer than what fits between the processes, so that its decoder has to wait."""
    return write_audio(tmp_path / "long.wav", tone(120, 440))


def begun(path: Path, **asked: Any) -> tuple[Iterator[np.ndarray], int]:
    """A stream that has given its first block, and the process that has the file open."""
    blocks = sandbox.stream(path, RATE, **asked)
    next(blocks)
    (pid,) = {
        int(descriptor.parts[2])
        for descriptor in Path("/proc").glob("[0-9]*/fd/*")
        if _target(descriptor) == path
    }
    return blocks, pid


def _target(link: Path) -> Path | None:
    try:
        return link.readlink()
    except OSError:
        return None


def in_process(path: Path, **stretch: int) -> np.ndarray:
    return np.concatenate([block for _, block in audio.stream_rates(path, (RATE,), **stretch)])


def gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def test_it_answers_what_the_decoder_answers(long: Path) -> None:
    assert np.array_equal(sandbox.decode(long, RATE), in_process(long))
    stretch = {"start_ms": 60_000, "end_ms": 61_500}
    assert np.array_equal(sandbox.decode(long, RATE, **stretch), in_process(long, **stretch))
    asked = {"max_duration_ms": 10**6}
    assert sandbox.inspect(long, **asked) == audio.inspect(long, **asked)


@pytest.mark.parametrize("stretch", [{}, {"start_ms": 60_000, "end_ms": 61_500}])
def test_several_rates_at_once_are_what_each_is_alone(long: Path, stretch: dict[str, int]) -> None:
    rates = (8000, RATE, 44_100)
    found: dict[int, list[np.ndarray]] = {rate: [] for rate in rates}
    for rate, block in sandbox.stream_rates(long, rates, **stretch):
        found[rate].append(block)
    for rate in rates:
        alone = sandbox.decode(long, rate, **stretch)
        assert np.array_equal(np.concatenate(found[rate]), alone)


@pytest.mark.parametrize(
    ("content", "refusal"),
    [(b"", EmptyAudio), (b"nonsense" * 9, UnsupportedAudio), (b"RIFF0000WAVE", CorruptAudio)],
)
def test_its_refusals_are_the_same(tmp_path: Path, content: bytes, refusal: type) -> None:
    path = tmp_path / "file.wav"
    path.write_bytes(content)
    with pytest.raises(refusal) as expected:
        audio.inspect(path, max_duration_ms=10**6)
    with pytest.raises(refusal) as found:
        sandbox.inspect(path, max_duration_ms=10**6)
    assert str(found.value) == str(expected.value)


def test_silence_is_told_by_name(tmp_path: Path) -> None:
    path = write_audio(tmp_path / "silent.wav", np.zeros(RATE, np.float32))
    with pytest.raises(SilentAudio):
        sandbox.inspect(path, max_duration_ms=10**6)


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGSEGV,
        *(
            pytest.param(one, marks=pytest.mark.exhaustive)
            for one in (signal.SIGABRT, signal.SIGKILL)
        ),
    ],
)
def test_a_file_that_crashes_its_decoder_is_refused(long: Path, number: int) -> None:
    blocks, pid = begun(long)
    os.kill(pid, number)
    with pytest.raises(CorruptAudio, match="breaks the decoder"):
        list(blocks)
    assert len(sandbox.decode(long, RATE)) == 120 * RATE, "the next file is read as ever"


def test_a_file_that_hangs_its_decoder_is_refused_and_the_decoder_killed(
    long: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "STALL_S", 0.5)
    blocks, pid = begun(long)
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(CorruptAudio, match="does not come to an end"):
        list(blocks)
    assert gone(pid)


def test_what_takes_longer_than_its_sound_is_worth_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "SHARED", 10_000)  # so that it is not the clock
    path = write_nothing(tmp_path / "costly.wav", 600)
    for call in (
        lambda budget: list(sandbox.stream(path, RATE, budget=budget)),
        lambda budget: sandbox.inspect(path, max_duration_ms=10**6, budget=budget),
    ):
        with pytest.raises(TooCostly):
            call(Budget(first_s=0.01, per_minute_s=0))
    assert len(sandbox.decode(path, RATE, end_ms=2000)) == 2 * RATE, "within its budget"


def test_a_file_is_given_time_for_the_sound_that_came(long: Path) -> None:
    blocks, pid = begun(long, budget=Budget(first_s=5, per_minute_s=60))
    for _ in range(90):
        next(blocks)
    limits = Path(f"/proc/{pid}/limits").read_text()
    blocks.close()  # type: ignore[attr-defined]
    (row,) = [line for line in limits.splitlines() if line.startswith("Max cpu time")]
    assert int(row.split()[3]) >= 90


def test_the_clock_ends_what_takes_no_processor_time(
    long: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks, pid = begun(long, budget=Budget(first_s=1, per_minute_s=0))
    os.kill(pid, signal.SIGSTOP)
    monkeypatch.setattr(sandbox, "SHARED", 0.01)
    with pytest.raises(TooCostly):
        list(blocks)
    assert gone(pid)


def test_what_the_caller_does_between_two_blocks_does_not_count(
    long: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Clock:
        late_s = 0

        def monotonic(self) -> float:
            return time.monotonic() + self.late_s

    clock = Clock()
    monkeypatch.setattr(sandbox, "time", clock)
    blocks = sandbox.stream(long, RATE, budget=Budget(first_s=60, per_minute_s=0))
    heard = 0
    for block in blocks:
        heard += len(block)
        clock.late_s += 1000
    assert heard == 120 * RATE


def test_a_message_too_large_to_be_one_ends_the_decoder() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        decoder = object.__new__(sandbox._Decoder)
        decoder.line = ours
        theirs.sendall(HEADER.pack(b"d", 2**32 - 1))
        with pytest.raises(EOFError):
            decoder.receive(10)


def test_nobody_decodes_on_for_nobody(long: Path) -> None:
    blocks, pid = begun(long)
    blocks.close()  # type: ignore[attr-defined]
    assert gone(pid)


def test_memory_time_and_files_are_limited(long: Path) -> None:
    blocks, pid = begun(long)
    limits = Path(f"/proc/{pid}/limits").read_text()
    blocks.close()  # type: ignore[attr-defined]
    rows = {line[:26].strip(): line[26:].split()[0] for line in limits.splitlines()[1:]}
    assert 2**28 < int(rows["Max address space"]) < 2**32
    assert int(rows["Max cpu time"]) <= 1000
    assert int(rows["Max open files"]) <= 64
    assert (rows["Max file size"], rows["Max core file size"]) == ("0", "0")


def test_a_decoder_reads_many_files_and_then_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "MAX_FILES", 3)
    path = write_audio(tmp_path / "short.wav", tone(1, 440))
    for decoder in sandbox._pool.idle:
        decoder.kill()
    sandbox._pool.idle.clear()
    used = []
    for _ in range(6):
        sandbox.decode(path, RATE)
        used.append([decoder.process.pid for decoder in sandbox._pool.idle])
    assert used[0] == used[1] != used[3] == used[4]
    assert used[2] == used[5] == []


def test_a_decoder_that_ended_while_it_was_idle_is_replaced(tmp_path: Path) -> None:
    path = write_audio(tmp_path / "short.wav", tone(1, 440))
    sandbox.decode(path, RATE)
    (first, *_) = sandbox._pool.idle
    first.process.kill()
    first.process.wait()
    assert len(sandbox.decode(path, RATE)) == RATE
    assert first not in sandbox._pool.idle


def test_many_threads_at_once(tmp_path: Path) -> None:
    paths = [write_audio(tmp_path / f"{hz}.wav", tone(3, hz)) for hz in range(300, 308)]
    expected = [in_process(path) for path in paths]
    found: dict[int, np.ndarray] = {}

    def read(number: int) -> None:
        found[number] = sandbox.decode(paths[number], RATE)

    threads = [threading.Thread(target=read, args=(number,)) for number in range(len(paths))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(found[number], expected[number]) for number in range(len(paths)))


@pytest.mark.parametrize(("channels", "rate"), [(65, 8000), (1, 800_000), (1, 100)])
def test_headers_that_claim_too_much_are_refused(tmp_path: Path, channels: int, rate: int) -> None:
    path = tmp_path / "wide.wav"
    block = 2 * channels
    data = b"\x01\x20" * channels * rate
    header = b"RIFF" + (36 + len(data)).to_bytes(4, "little") + b"WAVEfmt \x10\x00\x00\x00\x01\x00"
    header += channels.to_bytes(2, "little") + rate.to_bytes(4, "little")
    header += (rate * block).to_bytes(4, "little") + block.to_bytes(2, "little") + b"\x10\x00"
    path.write_bytes(header + b"data" + len(data).to_bytes(4, "little") + data)
    with pytest.raises(UnsupportedAudio, match="channels" if channels > 1 else "sampled at"):
        sandbox.inspect(path, max_duration_ms=10**6)


def test_decoders_that_nobody_needs_end(long: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    streams = [sandbox.stream(long, RATE) for _ in range(3)]
    for blocks in streams:
        next(blocks)
    for blocks in streams:
        list(blocks)
    assert len(sandbox._pool.idle) >= 3
    monkeypatch.setattr(sandbox, "IDLE_S", 0)
    sandbox.decode(long, RATE)
    assert len(sandbox._pool.idle) == 1
