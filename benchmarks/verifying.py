"""Time how fast what is kept is verified, and what comparing a digest adds to reading vectors.

    python -m benchmarks.verifying [--tracks 2000] [--mb 1] [--seconds 60] [--json]

A made catalogue on SQLite: each track a recording of `mb` megabytes of noise, and vectors of 2,048
dimensions, one for each second of `seconds`. Files that were just written come from the memory of
the system; `--cold` lets it forget them before each round, so that the disk counts.
"""

import argparse
import hashlib
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.listen import start_django
from benchmarks.report import alternate, latencies, show

DIMENSION = 2048
READS = 500


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tracks", type=int, default=2000)
    parser.add_argument("--mb", type=float, default=1)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cold", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        start_django(Path(name), "http://127.0.0.1:1")  # no index is asked
        fill(options.tracks, int(options.mb * 2**20), options.seconds)
        rounds = {"verify": lambda: verified(cold=options.cold)}
        rows = [dict[str, Any](found) for found in alternate(options.rounds, rounds).values()]
        show("verifying", rows, as_json=options.json)
        reads = {"with a digest": lambda: read(options.tracks, digest=True)}
        reads["without"] = lambda: read(options.tracks, digest=False)
        found = alternate(options.rounds, reads)
        rows = [dict[str, Any](read=name, **figures) for name, figures in found.items()]
        show("reading vectors, ms", rows, as_json=options.json)


def fill(tracks: int, size: int, seconds: int) -> None:
    """Rows and files as adding and analysing leave them."""
    from django.core.files.base import ContentFile
    from django.core.files.storage import default_storage

    from apps.analysis.models import Space, TrackAnalysis
    from apps.analysis.representations import keep
    from apps.catalog.models import Track
    from apps.jobs.models import State
    from audiosearch.engine.analyzers.base import Embeddings

    space = Space.objects.create(
        name="panns_cnn14-v1", kind="embedding", analyzer="panns_cnn14", dimension=DIMENSION
    )
    rng = np.random.default_rng(0)
    spans = np.stack([np.arange(seconds), np.arange(1, seconds + 1)], axis=1) * 1000
    vectors = rng.normal(size=(seconds, DIMENSION)).astype(np.float32)
    for number in range(tracks):
        content = rng.bytes(size)
        digest = hashlib.sha256(content).hexdigest()
        stored = default_storage.save(f"tracks/{digest[:2]}/{digest}", ContentFile(content))
        track = Track.objects.create(
            file=stored,
            sha256=digest,
            title=str(number),
            duration_ms=seconds * 1000,
            sample_rate=32_000,
            channels=1,
            size_bytes=size,
        )
        keep(space.name, track.pk, Embeddings(vectors, spans))
        TrackAnalysis.objects.create(track=track, space=space, state=State.READY, windows=seconds)


def verified(*, cold: bool) -> dict[str, float]:
    from apps.analysis.verifying import verify
    from apps.catalog.models import Track

    if cold:
        forget_files()
    read = list[int]()
    began = time.perf_counter()
    found = list(verify(Track.objects.all(), lambda track: read.append(track.size_bytes)))
    minutes = (time.perf_counter() - began) / 60
    assert not found
    return {"GB/min": sum(read) / 2**30 / minutes, "tracks/min": len(read) / minutes}


def forget_files() -> None:
    """Let the system forget the content of all files below the data."""
    from django.conf import settings

    os.sync()
    for path in Path(settings.MEDIA_ROOT).rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def read(tracks: int, *, digest: bool) -> dict[str, float]:
    """As load_kept does, and as it would without looking at the digest."""
    from django.core.files.storage import default_storage

    from apps.analysis.representations import kept_name, load_kept
    from apps.catalog.models import Track
    from audiosearch.engine.analyzers.base import Embeddings

    keys = list(Track.objects.order_by("pk").values_list("pk", flat=True))

    def one(number: int) -> object:
        pk = keys[number % tracks]
        if digest:
            return load_kept("panns_cnn14-v1", pk, Embeddings)
        with default_storage.open(kept_name("panns_cnn14-v1", pk)) as file, np.load(file) as found:
            return Embeddings(found["embeddings"], found["spans"])

    return latencies(one, READS)


if __name__ == "__main__":
    main()
