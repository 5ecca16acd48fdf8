"""What a decoder may ask of the kernel, as a seccomp filter; for Linux on x86_64 and arm64.

Everything else answers ENOSYS, at which libraries do without; so nothing connects, listens, runs
programs, signals others or changes files. The numbers are the kernel's, and never change.
"""

import errno
import struct
from collections.abc import Mapping

AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
X32 = 0x40000000  # system calls of another kind on x86_64, from this number on

ALLOWED: Mapping[str, tuple[int | None, int | None]] = {
    # frequent ones first, as each call is compared with one after the other
    "read": (0, 63),
    "lseek": (8, 62),
    "sendto": (44, 206),
    "recvmsg": (47, 212),
    "mmap": (9, 222),
    "munmap": (11, 215),
    "mprotect": (10, 226),
    "mremap": (25, 216),
    "madvise": (28, 233),
    "brk": (12, 214),
    "futex": (202, 98),
    "clock_gettime": (228, 113),
    "gettimeofday": (96, 169),
    "getrusage": (98, 165),
    # files that were handed over, and modules that are loaded late
    "openat": (257, 56),
    "open": (2, None),
    "close": (3, 57),
    "fstat": (5, 80),
    "stat": (4, None),
    "lstat": (6, None),
    "newfstatat": (262, 79),
    "statx": (332, 291),
    "pread64": (17, 67),
    "readv": (19, 65),
    "getdents64": (217, 61),
    "readlink": (89, None),
    "readlinkat": (267, 78),
    "getcwd": (79, 17),
    "fcntl": (72, 25),
    "dup": (32, 23),
    # the line to the parent, and messages on standard error
    "write": (1, 64),
    "writev": (20, 66),
    "recvfrom": (45, 207),
    "sendmsg": (46, 211),
    "shutdown": (48, 210),
    "poll": (7, None),
    "ppoll": (271, 73),
    # the process itself
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "sigaltstack": (131, 132),
    "restart_syscall": (219, 128),
    "exit": (60, 93),
    "exit_group": (231, 94),
    "getpid": (39, 172),
    "gettid": (186, 178),
    "getuid": (102, 174),
    "geteuid": (107, 175),
    "getgid": (104, 176),
    "getegid": (108, 177),
    "uname": (63, 160),
    "sysinfo": (99, 179),
    "getrandom": (318, 278),
    "getrlimit": (97, 163),
    "setrlimit": (160, 164),
    # threads of FFmpeg, and waiting for them
    "set_robust_list": (273, 99),
    "rseq": (334, 293),
    "sched_yield": (24, 124),
    "sched_getaffinity": (204, 123),
    "membarrier": (324, 283),
    "nanosleep": (35, 101),
    "clock_nanosleep": (230, 115),
    "clock_getres": (229, 114),
}
CLONE = (56, 220)
CLONE_THREAD = 0x10000
TGKILL = (234, 131)
PRLIMIT64 = (302, 261)

_LOAD, _JEQ, _JGE, _JSET, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW = 0x7FFF0000
_REFUSE = 0x00050000 | errno.ENOSYS
_NUMBER, _ARCH, _FIRST_ARGUMENT = 0, 4, 16  # offsets in the kernel's struct seccomp_data


def seccomp_filter(machine: str, pid: int) -> bytes:
    """The filter for one process as BPF instructions, eight bytes each.

    machine: as `platform.machine()` has it. Raises KeyError for one whose numbers are not known.
    """
    column = list(AUDIT_ARCH).index(machine) if machine in AUDIT_ARCH else None
    if column is None:
        raise KeyError(machine)
    code = [
        (_LOAD, 0, 0, _ARCH),
        (_JEQ, 1, 0, AUDIT_ARCH[machine]),
        (_RETURN, 0, 0, _REFUSE),
        (_LOAD, 0, 0, _NUMBER),
        (_JGE, 0, 1, X32),
        (_RETURN, 0, 0, _REFUSE),
    ]
    for numbers in ALLOWED.values():
        if (number := numbers[column]) is not None:
            code += [(_JEQ, 0, 1, number), (_RETURN, 0, 0, _ALLOW)]
    for numbers, test, value in (  # threads, not processes; only itself
        (CLONE, _JSET, CLONE_THREAD),
        (TGKILL, _JEQ, pid),
        (PRLIMIT64, _JEQ, 0),
    ):
        code += [
            (_JEQ, 0, 4, numbers[column]),
            (_LOAD, 0, 0, _FIRST_ARGUMENT),
            (test, 0, 1, value),
            (_RETURN, 0, 0, _ALLOW),
            (_RETURN, 0, 0, _REFUSE),
        ]
    code.append((_RETURN, 0, 0, _REFUSE))
    return b"".join(struct.pack("=HBBI", *each) for each in code)
