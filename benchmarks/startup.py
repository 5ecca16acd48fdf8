"""Time how long the web process takes to answer, and a worker to have listened to a first clip.

    python -m benchmarks.startup [--runs 3] [--json]

Cnn14 with random weights, exported before; SQLite and Milvus Lite, which runs already. Each is
started anew for every run. The limits are an interpreter that imports Django, and one that loads
the model. Seconds.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from django.core.management import call_command

from benchmarks.listen import prepare, start_django, synthesised
from benchmarks.report import alternate, show
from tests.servers import free_port, milvus_lite


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        prepare(scratch, None)
        with milvus_lite(scratch / "milvus") as uri:
            os.environ.update(PORT=str(free_port()), ENCODER="panns_cnn14")
            start_django(scratch, uri)
            call_command("collectstatic", interactive=False, verbosity=0)
            clip = synthesised(scratch, 1)[0]
            model = (
                "from pathlib import Path; "
                "from audiosearch.engine.analyzers.registry import load_analyzer; "
                f"load_analyzer('panns_cnn14', Path({str(scratch / 'models')!r}), threads=1)"
            )
            found = alternate(
                options.runs,
                {
                    "web: first page": _web_answers,
                    "limit: import Django": _interpreter("import django; django.setup()"),
                    "worker: first clip can be found": lambda: _worker_listens(clip),
                    "limit: load the model": _interpreter(model),
                },
            )
    rows = [{"": name, "seconds": figures["seconds"]} for name, figures in found.items()]
    show("start-up", rows, as_json=options.json, runs=options.runs)


def _web_answers() -> dict[str, float]:
    from apps.ops.management.commands.serve import web_server

    page = f"http://127.0.0.1:{os.environ['PORT']}/"
    began = time.perf_counter()
    with _process(web_server("127.0.0.1", int(os.environ["PORT"]))) as process:
        while process.poll() is None:
            try:
                urllib.request.urlopen(page, timeout=5).close()
                return {"seconds": time.perf_counter() - began}
            except urllib.error.HTTPError as error:
                raise SystemExit(f"The first page answered {error.code}.") from error
            except urllib.error.URLError:
                time.sleep(0.01)
    raise SystemExit("The web process ended.")


def _worker_listens(clip: Path) -> dict[str, float]:
    from apps.analysis.models import TrackAnalysis
    from apps.catalog.models import Track
    from apps.catalog.services.adding import add_track
    from apps.catalog.services.deleting import delete_tracks
    from apps.jobs.models import State
    from apps.ops.management.commands.serve import _worker

    add_track(source=clip, name=clip.name)
    began = time.perf_counter()
    with _process(_worker()) as process:
        while process.poll() is None:
            if TrackAnalysis.objects.filter(state=State.READY, space__kind="embedding").exists():
                seconds = time.perf_counter() - began
                delete_tracks(Track.objects.values_list("pk", flat=True))
                return {"seconds": seconds}
            time.sleep(0.02)
    raise SystemExit("The worker ended.")


def _interpreter(code: str) -> Callable[[], dict[str, float]]:
    def run() -> dict[str, float]:
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        return {"seconds": time.perf_counter() - began}

    return run


@contextmanager
def _process(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


if __name__ == "__main__":
    main()
