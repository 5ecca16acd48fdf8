"""What keeps a decoder in: it reads what it was handed, answers, and can do nothing else."""

import json
import os
import platform
import re
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from audiosearch.engine.audio import sandbox
from audiosearch.engine.audio.confinement import LANDLOCK, NO_NEW_PRIVILEGES, PROTECTIONS, SECCOMP
from audiosearch.engine.audio.syscalls import (
    ALLOWED,
    AUDIT_ARCH,
    CLONE,
    CLONE_THREAD,
    PRLIMIT64,
    TGKILL,
    X32,
    seccomp_filter,
)
from tests.audio_files import tone, write_audio

ROOT = Path(__file__).parents[2]
REFUSED, DONE = 0x00050026, 0x7FFF0000
ATTEMPTS = """
import json, os, signal, socket, subprocess, sys, threading
from audiosearch.engine.audio import worker

def outcome(attempt):
    try:
        return repr(attempt())
    except OSError as error:
        return "refused"

def thread():
    done = []
    one = threading.Thread(target=done.append, args=(1,))
    one.start()
    one.join()
    return len(done)

handed = os.open(sys.argv[1], os.O_RDONLY)
listener = socket.socket()
held = worker.withdraw()
told = {name: outcome(attempt) for name, attempt in {
    "handed over": lambda: worker.HandedFile(f"/dev/fd/{handed}").open("rb").read(4),
    "late module": lambda: "ж".encode("cp1251"),
    "thread": thread,
    "environment": lambda: dict(os.environ),
    "socket": lambda: socket.socket(),
    "unix socket": lambda: socket.socket(socket.AF_UNIX),
    "connect": lambda: listener.connect(("127.0.0.1", 9)),
    "bind": lambda: listener.bind(("127.0.0.1", 0)),
    "program": lambda: subprocess.run(["/bin/true"]),
    "exec": lambda: os.execv("/bin/true", ["true"]),
    "fork": os.fork,
    "signal": lambda: os.kill(os.getppid(), 0),
    "file": lambda: open(sys.argv[1]).read(4),
    "passwords": lambda: open("/etc/passwd").read(4),
    "others": lambda: open("/proc/1/environ").read(4),
    "listing": lambda: os.listdir("/"),
    "new file": lambda: open(sys.argv[1] + ".new", "w"),
    "change": lambda: os.unlink(sys.argv[1]),
    "rights": lambda: os.chmod(sys.argv[1], 0o777),
}.items()}
sys.stdout.write(json.dumps([held, told]))
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], dict[str, str]]:
    """What holds for a process that withdrew as decoders do, and what came of each attempt."""
    path = tmp_path_factory.mktemp("confined") / "RIFF.wav"
    path.write_bytes(b"RIFF")
    ran = subprocess.run(
        [sys.executable, "-c", ATTEMPTS, str(path)],
        cwd=ROOT,
        env={**os.environ, "SECRET_KEY": "secret"},
        stdout=subprocess.PIPE,
        check=True,
    )
    held, attempts = json.loads(ran.stdout)
    return held, attempts


def test_it_reads_what_it_was_handed_and_goes_on_working(told: Any) -> None:
    _, attempts = told
    assert attempts["handed over"] == "b'RIFF'"
    assert attempts["late module"] == repr("ж".encode("cp1251"))
    assert attempts["thread"] == "1"


def test_it_finds_no_environment(told: Any) -> None:
    assert told[1]["environment"] == "{}"


SECCOMP_REFUSES = ("socket", "unix socket", "connect", "bind", "program", "exec", "fork", "signal")
LANDLOCK_REFUSES = ("file", "passwords", "others", "listing", "new file")


@pytest.mark.parametrize(
    ("protection", "attempt"),
    [
        *((SECCOMP, name) for name in (*SECCOMP_REFUSES, "change", "rights")),
        *((LANDLOCK, name) for name in LANDLOCK_REFUSES),
    ],
)
def test_what_a_decoder_does_not_need_is_refused(told: Any, protection: str, attempt: str) -> None:
    held, attempts = told
    if protection not in held:
        pytest.skip(f"this kernel has no {protection}")
    assert attempts[attempt] == "refused"


def test_decoders_say_what_holds_and_the_kernel_says_the_same(tmp_path: Path) -> None:
    sandbox.decode(write_audio(tmp_path / "a.wav", tone(1)), 16_000)
    decoder = sandbox._pool.idle[-1]
    status = Path(f"/proc/{decoder.process.pid}/status").read_text()
    found = dict(re.findall(r"^(NoNewPrivs|Seccomp):\s+(\d)", status, re.MULTILINE))
    assert (found["NoNewPrivs"] == "1") == (NO_NEW_PRIVILEGES in decoder.protections)
    assert (found["Seccomp"] == "2") == (SECCOMP in decoder.protections)
    assert set(decoder.protections) <= set(PROTECTIONS)
    assert sandbox.protections() == decoder.protections


def test_a_decoder_is_told_nothing_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_KEY", "secret")
    decoder = sandbox._Decoder()
    try:
        environment = Path(f"/proc/{decoder.process.pid}/environ").read_bytes().split(b"\0")
    finally:
        decoder.kill()
    names = {entry.split(b"=")[0].decode() for entry in environment if entry}
    assert names <= {*sandbox.ONE_THREAD, *sandbox.LOADING, "LC_CTYPE"}


def answer(code: bytes, arch: int, number: int, first: int = 0) -> int:
    """What the kernel would make of a system call, by interpreting the filter."""
    data = {0: number, 4: arch, 16: first}
    program = list(struct.iter_unpack("=HBBI", code))
    at, accumulator = 0, 0
    while True:
        kind, yes, no, value = program[at]
        at += 1
        match kind:
            case 0x20:
                accumulator = data[value]
            case 0x06:
                return value
            case 0x15:
                at += yes if accumulator == value else no
            case 0x35:
                at += yes if accumulator >= value else no
            case 0x45:
                at += yes if accumulator & value else no


@pytest.mark.parametrize("machine", AUDIT_ARCH)
def test_the_filter_lets_through_what_is_named_and_nothing_else(machine: str) -> None:
    column = list(AUDIT_ARCH).index(machine)
    arch = AUDIT_ARCH[machine]
    code = seccomp_filter(machine, 77)
    assert len(code) // 8 <= 4096, "the kernel takes no more"
    allowed = {numbers[column] for numbers in ALLOWED.values()}
    special = {CLONE[column], TGKILL[column], PRLIMIT64[column]}
    for number in range(1000):
        if number not in special:
            assert answer(code, arch, number) == (DONE if number in allowed else REFUSED)
    assert answer(code, arch, CLONE[column], CLONE_THREAD | 0xF00) == DONE
    assert answer(code, arch, CLONE[column], 17) == REFUSED, "a process of its own"
    assert [answer(code, arch, TGKILL[column], pid) for pid in (77, 78)] == [DONE, REFUSED]
    assert [answer(code, arch, PRLIMIT64[column], pid) for pid in (0, 78)] == [DONE, REFUSED]
    assert answer(code, arch, X32 + 1) == REFUSED
    others = {AUDIT_ARCH[other] for other in AUDIT_ARCH} - {arch} | {0x40000003}
    assert {answer(code, other, 0) for other in others} == {REFUSED}


HEADERS = {  # arm64 has the generic numbers
    "x86_64": "/usr/include/x86_64-linux-gnu/asm/unistd_64.h",
    "aarch64": "/usr/include/asm-generic/unistd.h",
}


@pytest.mark.parametrize("machine", AUDIT_ARCH)
def test_the_numbers_are_the_kernels(machine: str) -> None:
    header = Path(HEADERS[machine])
    if not header.exists():
        pytest.skip("the kernel's headers are not installed")
    found = dict(
        re.findall(r"^#define __NR(?:3264)?_(\w+)\s+(\d+)$", header.read_text(), re.MULTILINE)
    )
    found["newfstatat"] = found.get("newfstatat", found.get("fstatat", ""))
    column = list(AUDIT_ARCH).index(machine)
    named = {**ALLOWED, "clone": CLONE, "tgkill": TGKILL, "prlimit64": PRLIMIT64}
    wrong = {
        name: numbers[column]
        for name, numbers in named.items()
        if numbers[column] is not None and found[name] != str(numbers[column])
    }
    assert not wrong


def test_a_machine_whose_numbers_are_not_known_has_no_filter() -> None:
    with pytest.raises(KeyError):
        seccomp_filter("riscv64", 1)
    if sys.platform == "linux" and platform.machine() in AUDIT_ARCH:
        assert SECCOMP in sandbox.protections()
