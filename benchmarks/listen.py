"""Time listening to files: ours, two plain ways with Cnn14, and the bare model as the limit.

    python -m benchmarks.listen [FOLDER] [--files 80] [--runs 3] [--encoder mn10]
                                [--checkpoint FILE] [--json]

ours      add the files to the catalogue and listen until the last can be found (SQLite, Milvus
          Lite); `in the model` is the part of listening's wall time spent inside the encoder
peer a    librosa.load, panns_inference.AudioTagging loaded once, one file at a time, and an insert
          and a load of the collection for each, on the same Milvus Lite
peer b    the same, with the model loaded for every file
limit     the bare ONNX Runtime session on ready-made batches of eight

FOLDER holds audio files; without it, 5 s clips are synthesised. Without --checkpoint (Cnn14's), the
models have random weights in the published formats, which take the same time. Rates are files a
second. --encoder says what ours and the limit hear with; the peers stay with Cnn14. The limit of a
MobileNet has ready-made spectrograms.

Below the table: what a second encoder of the same rate costs beside `spectral`, in the analysis
pipeline alone. Decoding is shared, so that the decoders' processor time stays as it is.
"""

import argparse
import contextlib
import csv
import io
import itertools
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from audiosearch.engine.audio.formats import SUFFIXES
from benchmarks.report import alternate, children_cpu_s, show

DECODER = "audiosearch.engine.audio.worker"
PEER_FILES = 12
WIDTHS = {"mn04": 0.4, "mn10": 1.0}
PEER_B_FILES = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--files", type=int, default=80)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--encoder", default="panns_cnn14", choices=["panns_cnn14", *WIDTHS])
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        checkpoint = prepare(scratch, options.checkpoint)
        if options.encoder in WIDTHS:
            prepare_mobilenet(scratch, options.encoder)
        files = _files(options.folder, scratch)[: options.files]
        from tests.servers import milvus_lite

        with milvus_lite(scratch / "milvus") as uri:
            start_django(scratch, uri, options.encoder)
            contenders: dict[str, Callable[[], dict[str, float]]] = {
                "limit: bare session": _limit(files, scratch, options.encoder),
                "ours": _ours(files, options.encoder),
                "peer a: model loaded once": _peer(files[:PEER_FILES], checkpoint, uri, once=True),
                "peer b: model loaded each time": _peer(
                    files[:PEER_B_FILES], checkpoint, uri, once=False
                ),
            }
            found = alternate(options.runs, contenders)
            shared = alternate(
                options.runs, {"one": _pipeline(files, 1), "two": _pipeline(files, 2)}
            )
    ours = found["ours"]["rate"]
    rows = [
        {"": name, "files a second": figures["rate"], "ours is": ours / figures["rate"]}
        for name, figures in found.items()
    ]
    more = {
        "files": len(files),
        "runs": options.runs,
        "ours_listening_only_files_a_second": found["ours"]["listening rate"],
        "ours_in_the_model": found["ours"]["in the model"],
        "one_encoder_files_a_second": shared["one"]["rate"],
        "two_encoders_files_a_second": shared["two"]["rate"],
        "two_encoders_decoders_cpu_ratio": shared["two"]["decoders"] / shared["one"]["decoders"],
    }
    show("listen", rows, as_json=options.json, **more)


def prepare(scratch: Path, checkpoint: Path | None) -> Path:
    """Checkpoint and export where the encoder looks for them, and labels where the peer does."""
    from audiosearch.engine.analyzers.embedding.audioset import CLASSES
    from audiosearch.engine.analyzers.embedding.panns import CHECKPOINT, Cnn14
    from tests.checkpoints import write_random_cnn14

    folder = scratch / "models" / Cnn14.spec.name
    folder.mkdir(parents=True)
    target = folder / CHECKPOINT.name
    if checkpoint:
        shutil.copy(checkpoint, target)
    else:
        print("writing a checkpoint with random weights …", file=sys.stderr)
        write_random_cnn14(target)
    print("exporting it …", file=sys.stderr)
    Cnn14.prepare(scratch / "models", lambda *_: None)
    os.environ["HOME"] = str(scratch)
    labels = scratch / "panns_data" / "class_labels_indices.csv"
    labels.parent.mkdir()
    with labels.open("w", newline="") as file:
        rows = [(number, f"/m/{number}", f"Class {number}") for number in range(CLASSES)]
        csv.writer(file).writerows([("index", "mid", "display_name"), *rows])
    return target


def prepare_mobilenet(scratch: Path, name: str) -> None:
    """Random weights in the authors' format, and their export."""
    from audiosearch.engine.analyzers.embedding.mobilenet import MobileNet
    from audiosearch.engine.analyzers.registry import analyzer_class
    from tests.checkpoints import write_random_mobilenet

    encoder = analyzer_class(name)
    assert issubclass(encoder, MobileNet)
    folder = scratch / "models" / name
    folder.mkdir(parents=True)
    write_random_mobilenet(folder / encoder.spec.weights[0].name, WIDTHS[name])
    encoder.prepare(scratch / "models", lambda *_: None)


def _files(folder: Path | None, scratch: Path) -> list[Path]:
    if folder:
        return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    return synthesised(scratch, 240)


def synthesised(scratch: Path, count: int) -> list[Path]:
    """So many clips of 5 s, a hum in noise each."""
    import soundfile

    rng = np.random.default_rng(0)
    (scratch / "clips").mkdir()
    paths = []
    for number in range(count):
        path = scratch / "clips" / f"{number:03}.ogg"
        hum = np.sin(2 * np.pi * rng.uniform(80, 2000) * np.arange(220_500) / 44_100)
        soundfile.write(path, 0.3 * hum + 0.05 * rng.normal(size=220_500), 44_100)
        paths.append(path)
    return paths


def start_django(scratch: Path, uri: str, encoder: str = "panns_cnn14") -> None:
    os.environ.update(
        DATA_DIR=str(scratch / "data"),
        MODELS_DIR=str(scratch / "models"),
        MILVUS_URI=uri,
        DEBUG="0",
        DJANGO_SETTINGS_MODULE="audiosearch.settings",
    )
    import django
    from django.core.management import call_command

    (scratch / "data").mkdir()
    django.setup()
    from django.conf import settings

    settings.ANALYSES = {**settings.ANALYSES, "embedding": (encoder, "spectral")}
    call_command("migrate", verbosity=0)


def _limit(files: list[Path], scratch: Path, name: str) -> Callable[[], dict[str, float]]:
    from audiosearch.engine.analyzers.embedding.mobilenet_mels import RATE, log_mels
    from audiosearch.engine.analyzers.sessions import open_session
    from audiosearch.engine.audio.sandbox import decode

    (export,) = (scratch / "models" / name).glob("*.onnx")
    session = open_session(export, 0)
    given, prepared = (
        ("spectrograms", log_mels) if name in WIDTHS else ("windows", lambda batch: batch)
    )
    clips = [decode(path, RATE)[: 10 * RATE] for path in files]
    clips.sort(key=len)
    batches = []
    for _, group in itertools.groupby(clips, key=len):
        alike = list(group)
        batches += [prepared(np.stack(alike[at : at + 8])) for at in range(0, len(alike), 8)]

    def run() -> dict[str, float]:
        began = time.perf_counter()
        for batch in batches:
            session.run(None, {given: batch})
        return {"rate": len(clips) / (time.perf_counter() - began)}

    session.run(None, {given: batches[0]})
    return run


def _ours(files: list[Path], name: str) -> Callable[[], dict[str, float]]:
    from apps.analysis.models import TrackAnalysis
    from apps.analysis.worker import work
    from apps.catalog.models import Track
    from apps.catalog.services.adding import add_track
    from apps.catalog.services.deleting import delete_tracks
    from apps.jobs.models import State
    from audiosearch.engine.analyzers.base import Encoder
    from audiosearch.engine.analyzers.registry import analyzer_class

    encoder = analyzer_class(name)
    assert issubclass(encoder, Encoder)
    in_model = 0.0
    workers = len(os.sched_getaffinity(0))
    encode = encoder.encode

    def timed(self: Any, windows: Any) -> Any:
        nonlocal in_model
        began = time.perf_counter()
        try:
            return encode(self, windows)
        finally:
            in_model += (time.perf_counter() - began) / workers

    encoder.encode = timed  # type: ignore[method-assign]

    def run() -> dict[str, float]:
        nonlocal in_model
        began = time.perf_counter()
        for path in files:
            add_track(source=path, name=path.name)
        added, in_model = time.perf_counter(), 0.0
        work()
        ended = time.perf_counter()
        ready = TrackAnalysis.objects.filter(state=State.READY, space__kind="embedding").count()
        if ready != len(files):
            raise SystemExit(f"Only {ready} of {len(files)} files were listened to.")
        delete_tracks(Track.objects.values_list("pk", flat=True))
        return {
            "rate": len(files) / (ended - began),
            "listening rate": len(files) / (ended - added),
            "in the model": in_model / (ended - added),
        }

    add_track(source=files[0], name="warm-up")
    work()
    delete_tracks(Track.objects.values_list("pk", flat=True))
    return run


def _pipeline(files: list[Path], encoders: int) -> Callable[[], dict[str, float]]:
    """So many `spectral` encoders in the pipeline; `decoders`: their processor time in s."""
    from audiosearch.engine.analyzers.embedding.spectral import Spectral
    from audiosearch.engine.analyzers.pipeline import Failed, Pipeline, Recording

    loaded = [Spectral(Path()) for _ in range(encoders)]

    def run() -> dict[str, float]:
        before, began = children_cpu_s(DECODER), time.perf_counter()
        with Pipeline(streams=4, workers=len(os.sched_getaffinity(0))) as pipeline:
            for number, path in enumerate(files):
                analyzers = {number * encoders + at: one for at, one in enumerate(loaded)}
                pipeline.add(Recording(path, 0, analyzers))
            left = len(files) * encoders
            while left:
                outcomes = pipeline.step()
                left -= len(outcomes)
                for outcome in outcomes:
                    if isinstance(outcome, Failed):
                        raise outcome.error
        return {
            "rate": len(files) / (time.perf_counter() - began),
            "decoders": children_cpu_s(DECODER) - before,
        }

    run()
    return run


def _peer(
    files: list[Path], checkpoint: Path, uri: str, *, once: bool
) -> Callable[[], dict[str, float]]:
    import librosa
    from panns_inference import AudioTagging
    from pymilvus import DataType, MilvusClient

    client = MilvusClient(uri)
    name = "peer_a" if once else "peer_b"
    schema = client.create_schema(auto_id=True)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("path", DataType.VARCHAR, max_length=500)
    schema.add_field("embedding", DataType.FLOAT_VECTOR, dim=2048)
    params = client.prepare_index_params()
    params.add_index("embedding", index_type="IVF_FLAT", metric_type="L2", params={"nlist": 128})
    client.create_collection(name, schema=schema, index_params=params)

    def load() -> AudioTagging:
        with contextlib.redirect_stdout(io.StringIO()):
            return AudioTagging(checkpoint_path=str(checkpoint), device="cpu")

    def hear(model: AudioTagging, path: Path) -> None:
        audio, _ = librosa.load(path, sr=32000, mono=True)
        _, embedding = model.inference(audio[None])
        client.insert(name, [{"path": str(path), "embedding": embedding[0].tolist()}])
        client.load_collection(name)

    kept = load() if once else None

    def run() -> dict[str, float]:
        began = time.perf_counter()
        for path in files:
            hear(kept or load(), path)
        return {"rate": len(files) / (time.perf_counter() - began)}

    hear(kept or load(), files[0])
    return run


if __name__ == "__main__":
    main()
