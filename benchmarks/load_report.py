"""What a load shows: memory, files and queue while it runs; tables and a verdict afterwards."""

import json
import os
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.load_traffic import SHARES, Answer, Ask, Connection, Traffic
from benchmarks.report import show
from tests.service import Service

SAMPLE_S = 5
SETTLED = 6
"""So many samples at either end are compared by their median, as one alone may be a peak."""
GROWTH_LIMIT = 5
WINDOW_S = 5
ROLES = {"granian": "web", "\0beat": "beat", "celery": "worker"}
DECODERS = "decoders"
"""They come and go with the files, so that their number says nothing of leaks."""
PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 2**20
BAD_LINES = ("Traceback", " ERROR ", " CRITICAL ", "starting it again")
EXPECTED = ("Service Unavailable", "Too Many Requests")


class Sample(NamedTuple):
    """One look at the service; `queue` is None when it did not say."""

    at: float
    rss_mb: dict[str, float]
    processes: list[tuple[str, int, float]]
    web_files: int
    queue: int | None


class Sampler(threading.Thread):
    """Looks at the processes and at the queue every few seconds until it is told to stop."""

    def __init__(self, service: Service, traffic: Traffic) -> None:
        super().__init__(daemon=True)
        assert service.process is not None
        self.supervisor = service.process.pid
        self.connection = Connection(traffic.address, timeout_s=SAMPLE_S)
        self.spaces = Ask("spaces", "GET", "/api/v1/spaces/", traffic.token)
        self.samples: list[Sample] = []
        self.stopping = threading.Event()

    def run(self) -> None:
        while not self.stopping.wait(SAMPLE_S):
            self.samples.append(self._look())

    def between(self, begin: float, end: float) -> list[Sample]:
        """The samples of a stretch of monotonic time."""
        return [sample for sample in self.samples if begin <= sample.at < end]

    def _look(self) -> Sample:
        processes: list[tuple[str, int, float]] = []
        rss_mb: dict[str, float] = defaultdict(float)
        web_files = 0
        for pid, role in roles(self.supervisor).items():
            try:
                pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
                if role == "web":
                    web_files += len(list(Path(f"/proc/{pid}/fd").iterdir()))
            except OSError:  # it has just ended
                continue
            processes.append((role, pid, pages * PAGE_MB))
            rss_mb[role] += pages * PAGE_MB
        at = time.monotonic()
        status, body = self.connection.send(self.spaces)
        queue = queue_in(body) if status == "200" else None
        return Sample(at, dict(rss_mb), processes, web_files, queue)


def queue_in(spaces: bytes) -> int:
    """How many recordings of the active space wait or are being analysed, in the API's answer."""
    found = next(space for space in json.loads(spaces)["results"] if space["is_default"])
    return int(found["progress"]["queued"] + found["progress"]["listening"])


def roles(supervisor: int) -> dict[int, str]:
    """The role of every process below the supervisor, and its own, by process id."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has just ended
            continue
    found = {supervisor: "supervisor"}
    for pid in parents:
        child = pid
        while parents.get(child, 0) not in (0, supervisor):
            child = parents[child]
        if parents.get(child) == supervisor:
            found[pid] = _role_of(pid, child)
    return found


def _role_of(pid: int, child: int) -> str:
    """The role of the supervisor's child that a process comes of; that of decoders is their own."""
    try:
        if "engine.audio.worker" in Path(f"/proc/{pid}/cmdline").read_text():
            return DECODERS
        command = Path(f"/proc/{child}/cmdline").read_text()
    except OSError:
        return "other"
    return next((role for word, role in ROLES.items() if word in command), "other")


def spread_ms(answers: Sequence[Answer]) -> dict[str, float]:
    """Percentiles of what was answered well, in milliseconds; 0 where nothing was."""
    took = [answer.latency_s * 1000 for answer in answers if answer.good] or [0.0]
    p50, p95, p99 = np.percentile(took, [50, 95, 99])
    return {"p50": float(p50), "p95": float(p95), "p99": float(p99), "max": max(took)}


def statuses(answers: Sequence[Answer]) -> str:
    """What was not answered well, by status."""
    found = Counter(answer.status for answer in answers if not answer.good)
    return ", ".join(f"{status} × {count}" for status, count in found.most_common())


def latency_rows(answers: Sequence[Answer]) -> list[dict[str, Any]]:
    """A row for each kind of request and one for all; the fifths tell whether it got slower."""
    begin, end = answers[0].at_s, answers[-1].at_s
    fifth = (end - begin) / 5
    rows = []
    for kind in [*SHARES, "all"]:
        these = [answer for answer in answers if kind in (answer.kind, "all")]
        early = [answer for answer in these if answer.at_s < begin + fifth]
        late = [answer for answer in these if answer.at_s > end - fifth]
        rows.append(
            {
                "ms": kind,
                "count": len(these),
                **spread_ms(these),
                "p95, first fifth": spread_ms(early)["p95"],
                "p95, last fifth": spread_ms(late)["p95"],
                "errors": statuses(these) or "none",
            }
        )
    return rows


def memory_rows(samples: Sequence[Sample]) -> list[dict[str, Any]]:
    """Resident memory by role after the warm-up and at the end; forks share some of it."""
    first, last = samples[:SETTLED], samples[-SETTLED:]
    hours = [(sample.at - samples[0].at) / 3600 for sample in samples]
    rows = []
    for role in samples[0].rss_mb:
        sizes = [sample.rss_mb.get(role, 0.0) for sample in samples]
        before = float(np.median([sample.rss_mb.get(role, 0.0) for sample in first]))
        after = float(np.median([sample.rss_mb.get(role, 0.0) for sample in last]))
        trend = float(np.polyfit(hours, sizes, 1)[0]) if len(sizes) > 1 else 0.0
        rows.append(
            {
                "memory": role,
                "MB after warm-up": before,
                "MB at the end": after,
                "growth %": (after / before - 1) * 100,
                "MB an hour": trend,
            }
        )
    return rows


def other_figures(samples: Sequence[Sample], answers: Sequence[Answer]) -> dict[str, Any]:
    """Open files, queue, and how late the client itself was."""
    queue = [sample.queue for sample in samples if sample.queue is not None]
    return {
        "open_files_of_the_web_server": f"{samples[0].web_files} to {samples[-1].web_files}",
        "queue_on_average": float(np.mean(queue)) if queue else 0.0,
        "queue_at_most": max(queue, default=0),
        "queue_at_the_end": queue[-1] if queue else "not told",
        "client_late_by_ms_p95": lag_ms(answers),
    }


def lag_ms(answers: Sequence[Answer]) -> float:
    """How late 95 % of the requests were sent at most; much of it, and the client is measured."""
    return float(np.percentile([answer.lag_s for answer in answers] or [0.0], 95)) * 1000


def overload_row(answers: Sequence[Answer], recovered: float | None) -> dict[str, Any]:
    """What became of twice the load, and when all was as before."""
    over = [answer for answer in answers if answer.phase == "overload"]
    shed = [answer.latency_s * 1000 for answer in over if answer.shed] or [0.0]
    spread = spread_ms(over)
    return {
        "requests": len(over),
        "answered": sum(answer.good for answer in over),
        "shed": sum(answer.shed for answer in over),
        "failed": sum(answer.failed for answer in over),
        "p50": spread["p50"],
        "p95": spread["p95"],
        "max": spread["max"],
        "p95, last fifth": spread_ms(over[-len(over) // 5 :])["p95"],
        "p95 of shed": float(np.percentile(shed, 95)),
        "client late, p95": lag_ms(over),
        "recovered after s": "never" if recovered is None else recovered,
    }


def recovered_after_s(answers: Sequence[Answer], over_s: float, limit_ms: float) -> float | None:
    """Seconds from the end of the overload to the first 5 s in which all was good and quick.

    Quick: 95 % within `limit_ms`. None when there were no such 5 s.
    """
    for begin in np.arange(over_s, answers[-1].at_s, WINDOW_S):
        these = [answer for answer in answers if begin <= answer.at_s < begin + WINDOW_S]
        good = all(answer.good for answer in these)
        if these and good and spread_ms(these)["p95"] <= limit_ms:
            return float(begin) - over_s
    return None


def bad_lines(log: str) -> list[str]:
    """What the service complained of, but for what it says when it turns somebody away."""
    return [
        line
        for line in log.splitlines()
        if any(word in line for word in BAD_LINES) and not any(word in line for word in EXPECTED)
    ]


def summarise(
    tried: list[Answer],
    usual: list[Answer],
    over: list[Answer],
    over_s: float,
    samples: list[Sample],
    checks: list[dict[str, Any]],
    log: str,
) -> dict[str, Any]:
    """The tables and the problems; what was turned away before it had recovered is no problem."""
    steady = [answer for answer in usual if answer.phase == "steady"]
    if not steady or not samples:
        raise SystemExit("That was too short to see anything.")
    latency = latency_rows(steady)
    recovered = recovered_after_s(over, over_s, 2 * latency[-1]["p95"])
    again = [one for one in over if recovered is not None and one.at_s >= over_s + recovered]
    found: dict[str, Any] = {
        "latency": latency,
        "others": other_figures(samples, steady),
        "memory": memory_rows(samples),
        "overload": [overload_row(over, recovered)],
        "recovered": latency_rows(again) if again else [],
        "checks": checks,
        "bad lines in the log": bad_lines(log)[:200],
    }
    phases = {
        "while the rate was found": tried,
        "the usual rate": [*usual, *again],
        "twice the rate": over[: len(over) - len(again)],
    }
    found["problems"] = find_problems(found, phases)
    return found


def find_problems(found: dict[str, Any], answers: dict[str, list[Answer]]) -> list[str]:
    """Why the run failed, each in a sentence; none when it passed."""
    problems = []
    for name, these in answers.items():
        failed = [answer for answer in these if answer.failed]
        if failed:
            problems.append(f"Errors, {name}: {statuses(failed)}.")
    shed = [answer for answer in answers["the usual rate"] if answer.shed]
    if shed:
        problems.append(f"Turned away at the usual rate: {statuses(shed)}.")
    recovered = found["overload"][0]["recovered after s"]
    if recovered == "never":
        problems.append("It did not recover from the overload.")
    for row in found["memory"]:
        if row["memory"] != DECODERS and row["growth %"] > GROWTH_LIMIT:
            problems.append(f"The memory of {row['memory']} grew by {row['growth %']:.1f} %.")
    for check in found["checks"]:
        if not check["agrees"]:
            problems.append(f"Drift after {check['after']}: {check['said']}")
        if check["still queued"]:
            problems.append(f"After {check['after']}, {check['still queued']} still waited.")
    restarts = sum("starting it again" in line for line in found["bad lines in the log"])
    if restarts:
        problems.append(f"Processes died and were started again: {restarts}.")
    return problems


def show_all(found: dict[str, Any]) -> None:
    """Everything as Markdown."""
    if found["steps"]:
        show("finding the rate", found["steps"], as_json=False)
    title = f"load, {found['rate']:g} requests a second for {found['minutes']:g} minutes"
    show(title, found["latency"], as_json=False, **found["others"])
    show("memory", found["memory"], as_json=False)
    show("twice the rate", found["overload"], as_json=False)
    if found["recovered"]:
        show("the usual rate again", found["recovered"], as_json=False)
    show("checks", found["checks"], as_json=False)
    print(f"\nthe client took {found['client, part of a core']:.0%} of a core")
    print(f"\nbad lines in the log: {len(found['bad lines in the log'])}")
    for line in found["bad lines in the log"][:10]:
        print(f"    {line[:300]}")
    print("\nverdict: " + ("failed" if found["problems"] else "passed"))
    for problem in found["problems"]:
        print(f"- {problem}")
