"""Hold the whole service under a mixed load for long, then twice that, and see what becomes of it.

    python -m benchmarks.load [--minutes 30] [--rate R] [--sounds FOLDER] [--json FILE]

Starts PostgreSQL, Redis, the Milvus server and `manage.py serve`, imports FOLDER (else 300
synthesised clips), finds the rate that the machine holds unless it is given, and keeps four fifths
of it up: searches, browsing, uploads and deletions. Then come two minutes of twice that and one
of the usual. Database, files and index are compared after each. The exit status is 1 when there
were errors, drift, or more than 5 % of growth in memory; the last lines say which.
"""

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from audiosearch.engine.audio.formats import SUFFIXES
from benchmarks.listen import synthesised
from benchmarks.load_report import Sampler, lag_ms, show_all, spread_ms, statuses, summarise
from benchmarks.load_traffic import SHARES, Answer, Crowd, Phase, Traffic
from benchmarks.report import machine
from tests.servers import milvus_server, postgres_server, redis_server
from tests.service import ROOT, Service, free_port

SOUNDS = 300
FIRST_RATE, FASTER, STEP_S = 4.0, 1.35, 20
SLOW_MS, LATE_MS = 2000, 200
HELD_PART = 0.8
WARM_UP_S, OVERLOAD_S, RECOVERY_S = 300, 120, 60
MEND_S = 20
"""Mending runs every 15 s and finishes what deletions left in the index."""
DRAIN_S = 900
started = time.monotonic()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--rate", type=float, help="requests a second; found when left out")
    parser.add_argument("--sounds", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM):  # also where a background shell ignores it
        signal.signal(number, signal.default_int_handler)
    try:
        found = run(options)
    except KeyboardInterrupt:
        raise SystemExit("Interrupted; all servers are stopped.") from None
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))
    show_all(found)
    raise SystemExit(1 if found["problems"] else 0)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Start everything, measure, stop everything."""
    with tempfile.TemporaryDirectory(prefix="load-", ignore_cleanup_errors=True) as name:
        folder = (options.sounds or synthesised(Path(name), SOUNDS)[0].parent).resolve()
        sounds = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
        tell("starting PostgreSQL, Redis, Milvus and the service …")
        with whole_service(Path(name)) as service:
            tracks = fill(service, folder)
            traffic = Traffic(service, sounds)
            sampler = Sampler(service, traffic)
            sampler.start()
            try:
                found = measure(service, traffic, sampler, options)
            finally:
                sampler.stopping.set()
            found["tracks"] = {"at first": tracks, "at the end": sum(service.states().values())}
    return found


@contextmanager
def whole_service(scratch: Path) -> Iterator[Service]:
    """The service on real servers, stopped at the end; also when starting is interrupted."""
    with (
        postgres_server() as database,
        redis_server() as redis,
        milvus_server(scratch / "milvus") as milvus,
    ):
        environment = {
            "DATABASE_URL": database,
            "REDIS_URL": redis,
            "MILVUS_URI": milvus,
            "SEARCHES_PER_MINUTE": "0",  # one person asks for all of it
        }
        service = Service(scratch / "data", free_port(), environment)
        try:
            service.start()
            yield service
        finally:
            if service.process:
                service.stop()


def fill(service: Service, folder: Path) -> int:
    """Import a folder and wait until all of it is listened to; returns how many are ready."""
    command = [sys.executable, "manage.py", "import", str(folder), "--folder-tags"]
    with subprocess.Popen(
        command, cwd=ROOT, env=service.environment, stdout=subprocess.DEVNULL
    ) as process:
        try:
            while process.poll() is None:
                tell(f"importing: {service.states()}")
                time.sleep(5)
        finally:
            process.terminate()
    if process.returncode:
        raise SystemExit("The import failed.")
    drain(service)
    ready = service.states()["ready"]
    if not ready:
        raise SystemExit(f"There is nothing to search for in {folder}.")
    return ready


def measure(
    service: Service, traffic: Traffic, sampler: Sampler, options: argparse.Namespace
) -> dict[str, Any]:
    """All phases, one after the other, and what they showed."""
    steps: list[dict[str, Any]] = []
    tried: list[Answer] = []
    rate = options.rate or find_rate(service, traffic, steps, tried)
    drain(service)
    long_s = options.minutes * 60
    warm_s = min(WARM_UP_S, long_s / 6)
    tell(f"{rate:g} requests a second for {(warm_s + long_s) / 60:.1f} minutes")
    usual = Crowd(traffic, [Phase("warm-up", rate, warm_s), Phase("steady", rate, long_s)], 1)
    usual_answers = usual.send_all(tell)
    checks = [check(service, "the usual rate")]
    over_s, back_s = min(OVERLOAD_S, long_s / 2), min(RECOVERY_S, long_s / 2)
    tell(f"{2 * rate:g} requests a second for {over_s:.0f} s, then {rate:g} for {back_s:.0f} s")
    phases = [Phase("overload", 2 * rate, over_s), Phase("recovery", rate, back_s)]
    over = Crowd(traffic, phases, 2).send_all(tell)
    checks.append(check(service, "twice the rate"))
    steady_began = usual.began + warm_s
    samples = sampler.between(steady_began, steady_began + long_s)
    shown = summarise(tried, usual_answers, over, over_s, samples, checks, service.said())
    return {
        "machine": machine(),
        "shares": SHARES,
        "rate": rate,
        "minutes": options.minutes,
        "steps": steps,
        **shown,
        "client, part of a core": usual.busy,
        "samples": [sample._asdict() for sample in sampler.samples],
    }


def find_rate(
    service: Service, traffic: Traffic, steps: list[dict[str, Any]], tried: list[Answer]
) -> float:
    """Four fifths of the highest rate that is held; adds a row for each step, and all answers."""
    rate, held = FIRST_RATE, 0.0
    while True:
        tell(f"trying {rate:.1f} requests a second for {STEP_S} s")
        step = Phase(f"{rate:.1f} a second", rate, STEP_S)
        answers = Crowd(traffic, [step], 100 + len(steps)).send_all(tell)
        row = step_row(rate, answers, waiting(service))
        steps.append(row)
        tried += answers
        tell(f"  {row}")
        if row["held"] != "yes":
            break
        held, rate = rate, rate * FASTER
    if not held:
        raise SystemExit(f"Not even {rate:g} requests a second are held: {steps[-1]}")
    return round(held * HELD_PART, 1)


def step_row(rate: float, answers: list[Answer], queue: int) -> dict[str, Any]:
    """What one step showed. A queue of half the uploads grows for as long as the load lasts."""
    clips = spread_ms([answer for answer in answers if answer.kind == "search by clip"])
    uploads = sum(answer.kind == "upload" for answer in answers)
    late = lag_ms(answers)
    reasons = {
        f"no: {statuses(answers)}": not all(answer.good for answer in answers),
        "no: searches by clip are slow": clips["p95"] > SLOW_MS,
        "no: the client is late": late > LATE_MS,
        "no: listening falls behind": queue > max(uploads / 2, 5),
    }
    return {
        "requests a second": rate,
        "sent": len(answers),
        "clip p95 ms": clips["p95"],
        "all p95 ms": spread_ms(answers)["p95"],
        "client late ms p95": late,
        "queue": queue,
        "held": next((reason for reason, true in reasons.items() if true), "yes"),
    }


def check(service: Service, after: str) -> dict[str, Any]:
    """Whether database, files and index agree once the queue is empty."""
    drained_s = drain(service)
    time.sleep(MEND_S)
    tell("comparing database, files and index")
    try:
        done = service.manage("check")
        said = " ".join((done.stdout + done.stderr).split())
    except subprocess.TimeoutExpired as error:
        said = str(error)
    agrees = "Database, files and index agree." in said
    return {
        "after": after,
        "drained after s": drained_s,
        "still queued": waiting(service),
        "agrees": agrees,
        "said": said[-2000:],
    }


def drain(service: Service) -> float:
    """Wait until nothing waits to be listened to; returns the seconds."""
    began = told_at = time.monotonic()
    while queue := waiting(service):
        if time.monotonic() - began > DRAIN_S:
            tell(f"{queue} recordings still wait after {DRAIN_S} s")
            break
        if time.monotonic() - told_at > 5:
            told_at = time.monotonic()
            tell(f"{queue} recordings wait to be listened to")
        time.sleep(1)
    return time.monotonic() - began


def waiting(service: Service) -> int:
    """How many recordings wait or are being analysed; asked again while it is too busy to say."""
    for _ in range(10):
        try:
            states = service.states()
        except (OSError, KeyError, ValueError) as error:  # no answer, or 503
            tell(f"the service does not say how long its queue is: {error!r}")
            time.sleep(3)
        else:
            return states["queued"] + states["listening"]
    raise SystemExit("The service does not answer any more:\n" + service.said()[-3000:])


def tell(line: str) -> None:
    """Progress, for whoever waits."""
    print(f"[{time.monotonic() - started:6.0f} s] {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
