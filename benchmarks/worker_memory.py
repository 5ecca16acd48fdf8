"""Peak memory of a worker with Cnn14 that hears long and short recordings together.

    python -m benchmarks.worker_memory [--hours 3] [--files 1000] [--checkpoint FILE] [--json]

Synthesises one recording of so many hours and so many files of 10 s queued behind it, listens to
all of them in this process, and prints its peak memory and when the first and last of the short
files were ready. With random weights unless a checkpoint is given.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.listen import prepare, start_django
from benchmarks.report import show

RATE = 32_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hours", type=float, default=3)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        prepare(scratch, options.checkpoint)
        from tests.servers import milvus_lite

        with milvus_lite(scratch / "milvus") as uri:
            start_django(scratch, uri)
            rows = [_listen(scratch, options.hours, options.files)]
    show("worker memory", rows, as_json=options.json)


def _listen(scratch: Path, hours: float, files: int) -> dict[str, object]:
    import soundfile

    from apps.analysis.models import TrackAnalysis
    from apps.analysis.worker import work
    from apps.catalog.services.adding import add_track
    from apps.jobs.models import State

    rng = np.random.default_rng(0)
    path = scratch / "sound.flac"
    with soundfile.SoundFile(path, "w", RATE, 1) as file:
        for _ in range(int(hours * 3600)):
            file.write(rng.normal(0, 0.05, RATE))
    add_track(source=path, name="long.flac")
    for _ in range(files):
        hum = np.sin(2 * np.pi * rng.uniform(80, 2000) * np.arange(10 * RATE) / RATE)
        soundfile.write(path, 0.3 * hum + 0.02 * rng.normal(size=len(hum)), RATE)
        add_track(source=path, name="short.flac")
    _forget_peak()
    before = _peak_mb()
    began = time.time()
    work()
    seconds = time.time() - began
    ready = TrackAnalysis.objects.filter(state=State.READY, space__kind="embedding")
    ready = ready.order_by("finished_at")
    short = [
        finished.timestamp() - began
        for finished in ready.filter(windows=1).values_list("finished_at", flat=True)
        if finished is not None
    ]
    return {
        "hours": hours,
        "short files": files,
        "ready": ready.count(),
        "seconds": seconds,
        "first short ready after s": short[0] if short else 0.0,
        "last short ready after s": short[-1] if short else 0.0,
        "peak MB before": before,
        "peak MB": _peak_mb(),
    }


def _forget_peak() -> None:
    """Begin anew, as exporting the model took more than listening does."""
    Path("/proc/self/clear_refs").write_text("5")


def _peak_mb() -> float:
    """The largest resident size of this process since then, model and libraries included."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


if __name__ == "__main__":
    main()
