"""Time a running service from outside: searches by a 10 s clip, and "more like this".

    python benchmarks/service.py URL TOKEN [--rounds 100] [--json]

The clip is synthesised. Latencies are whole HTTP requests, one at a time, in milliseconds.
"""

import argparse
import json
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import numpy as np

from apps.ops.demo.catalogue import DemoSound, demo_sounds
from apps.ops.demo.flac import write_flac
from apps.ops.demo.shaping import RATE

BOUNDARY = "benchmark"


def ten_seconds() -> bytes:
    """A FLAC file of 10 s, from the first demo sounds laid end to end."""
    parts, length = [], 0
    for sound in demo_sounds():
        parts.append(sound.samples)
        length += len(sound.samples)
        if length >= 10 * RATE:
            break
    samples = np.concatenate(parts)[: 10 * RATE]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.flac"
        write_flac(path, DemoSound("Clip", "none", "sound", (), "", samples))
        return path.read_bytes()


def timed(rounds: int, call: Callable[[], dict]) -> dict[str, float]:
    """Median and 95th percentile of whole calls, and the service's own median of each stage."""
    call()
    took, stages = [], []
    for _ in range(rounds):
        began = time.perf_counter()
        answer = call()
        took.append((time.perf_counter() - began) * 1000)
        stages.append(answer["took_ms"])
    figures = {"p50": float(np.median(took)), "p95": float(np.percentile(took, 95))}
    for stage in ("decode", "encode", "index"):
        figures[stage] = float(np.median([found[stage] for found in stages]))
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("token")
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    headers = {"Authorization": f"Token {options.token}"}
    body = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="clip.flac"\r\n'
        "Content-Type: audio/flac\r\n\r\n"
    ).encode() + ten_seconds()
    body += f"\r\n--{BOUNDARY}--\r\n".encode()
    multipart = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}

    def fetch(path: str, data: bytes | None = None, more: dict[str, str] | None = None) -> dict:
        request = urllib.request.Request(options.url + path, data, headers | (more or {}))  # noqa: S310
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            return dict(json.loads(answer.read()))

    first = fetch("/api/v1/tracks/?state=ready&page_size=1")["results"][0]["id"]
    found = {
        "search by a 10 s clip": timed(
            options.rounds, lambda: fetch("/api/v1/search/", body, multipart)
        ),
        "more like a track": timed(
            options.rounds, lambda: fetch(f"/api/v1/tracks/{first}/similar")
        ),
    }
    if options.json:
        print(json.dumps(found))
        return
    for name, figures in found.items():
        print(name + ":", ", ".join(f"{key} {value:.1f} ms" for key, value in figures.items()))


if __name__ == "__main__":
    main()
