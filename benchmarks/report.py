"""What the benchmarks share: runs in alternation, medians, and a table or JSON of them."""

import json
import os
import platform
import resource
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np


def alternate(
    runs: int, contenders: Mapping[str, Callable[[], dict[str, float]]]
) -> dict[str, dict[str, float]]:
    """Run every contender once per round, so that what slows the machine slows all of them.

    Each returns its figures by name; the answer holds the median of every figure.
    """
    found: dict[str, list[dict[str, float]]] = {name: [] for name in contenders}
    for _ in range(runs):
        for name, run in contenders.items():
            found[name].append(run())
    return {
        name: {key: float(np.median([one[key] for one in many])) for key in many[0]}
        for name, many in found.items()
    }


def latencies(call: Callable[[int], object], rounds: int) -> dict[str, float]:
    """Median and 95th percentile of `rounds` calls, in ms; called with 0, 1, 2 …"""
    took = []
    for number in range(rounds):
        began = time.perf_counter()
        call(number)
        took.append((time.perf_counter() - began) * 1000)
    return {"p50": float(np.median(took)), "p95": float(np.percentile(took, 95))}


def resident_mb(word: str) -> float:
    """Resident size of all processes with this word on their command line."""
    pages = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if word in (folder / "cmdline").read_text():
                pages += int((folder / "statm").read_text().split()[1])
        except OSError:  # it has just ended
            continue
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def children_cpu_s(word: str) -> float:
    """Processor time of this process's children with this word on their command line, in s.

    Of children that have ended, all count.
    """
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    ticks = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(fields[1]) == os.getpid() and word in (folder / "cmdline").read_text():
                ticks += int(fields[11]) + int(fields[12])
        except OSError:  # it has just ended
            continue
    return ended.ru_utime + ended.ru_stime + ticks / os.sysconf("SC_CLK_TCK")


def folder_mb(folder: Path) -> float:
    """Size of all files in a folder."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return sum(path.stat().st_size for path in files) / 2**20


def machine() -> dict[str, Any]:
    """The processor and how many cores of it this process has."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = [line for line in cpuinfo.read_text().splitlines() if "model name" in line]
        name = lines[0].partition(":")[2].strip() if lines else name
    return {"processor": name, "cores": len(os.sched_getaffinity(0))}


def show(title: str, rows: list[dict[str, Any]], *, as_json: bool, **more: Any) -> None:
    """Print rows of equal keys as a Markdown table, or everything as one JSON object."""
    if as_json:
        print(json.dumps({"benchmark": title, "machine": machine(), "rows": rows, **more}))
        return
    here = machine()
    print(f"\n{title}: {here['processor']}, {here['cores']} cores\n")
    keys = list(rows[0])
    print("| " + " | ".join(keys) + " |")
    print("|" + "---|" * len(keys))
    for row in rows:
        print("| " + " | ".join(_text(row[key]) for key in keys) + " |")
    for name, value in more.items():
        print(f"\n{name.replace('_', ' ')}: {_text(value)}")


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return str(value)
