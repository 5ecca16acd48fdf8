"""Time searches on the Milvus server with Redis, and what our layers add to it.

    python -m benchmarks.search [--windows 100000] [--rounds 200] [--encoder spectral] [--json]

Makes a catalogue of so many windows in tracks of ten, and times whole requests (Django's test
client: middleware, view, serialisation). For panns_cnn14, random weights are written. Times in ms:

clip            search by a 10 s clip; `beyond` is the request less decode, model and index
more like this  by the vectors of a track
layer           MilvusIndex.search for ten tracks, id map, grouping and JSON, beside the bare
                pymilvus search for ten windows
eight at once   clips a second from eight threads, and what eight threads calling only the model do
"""

import argparse
import os
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.listen import prepare, start_django
from benchmarks.made import WINDOWS, Made
from benchmarks.report import show
from benchmarks.service import ten_seconds

AT_ONCE = 8
SETTLE_S = 60
"""Milvus compacts for a while what it was given, on the cores that searches need."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--windows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--encoder", default="spectral")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    from tests.servers import milvus_server, redis_server

    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        if options.encoder == "panns_cnn14":
            prepare(scratch, None)
        with milvus_server(scratch / "milvus") as uri, redis_server() as redis:
            os.environ.update(REDIS_URL=redis, ENCODER=options.encoder, ALLOWED_HOSTS="*")
            start_django(scratch, uri)
            rows = _measure(options.windows, options.rounds, options.encoder)
    show(f"search, {options.encoder}", rows, as_json=options.json, windows=options.windows)


def _measure(windows: int, rounds: int, encoder: str) -> list[dict[str, Any]]:
    from django.contrib.auth import get_user_model
    from django.core.files.uploadedfile import SimpleUploadedFile
    from django.test import Client

    from apps.access.tokens import issue_token
    from apps.analysis.index import get_index

    made = _fill(windows, encoder)
    user = get_user_model().objects.create_user("benchmark")
    token = issue_token(user=user, name="benchmark")
    client, clip = Client(headers={"Authorization": f"Token {token}"}), ten_seconds()

    def by_clip() -> dict[str, Any]:
        upload = SimpleUploadedFile("clip.flac", clip, "audio/flac")
        return _answer(client.post("/api/v1/search/", {"file": upload}))

    def like(number: int) -> dict[str, Any]:
        return _answer(client.get(f"/api/v1/tracks/{number % TRACKS_WITH_VECTORS + 1}/similar"))

    for number in range(TRACKS_WITH_VECTORS):
        like(number)
    by_clip()
    whole, beyond, similar = [], [], []
    for number in range(rounds):
        began = time.perf_counter()
        took = by_clip()["took_ms"]
        whole.append((time.perf_counter() - began) * 1000)
        beyond.append(whole[-1] - took["decode"] - took["encode"] - took["index"])
        began = time.perf_counter()
        like(number)
        similar.append((time.perf_counter() - began) * 1000)
    ours, bare = _layer(get_index(), made, rounds)
    rate, alone = _eight_at_once(by_clip, clip)
    return [
        {"what": "clip, whole request", **_spread(whole)},
        {"what": "clip, beyond decode, model and index", **_spread(beyond)},
        {"what": "more like this, whole request", **_spread(similar)},
        {"what": "layer: ours", **_spread(ours)},
        {"what": "layer: bare pymilvus", **_spread(bare)},
        {"what": "eight at once: searches a second", "p50": rate, "p95": "", "ratio": ""},
        {"what": "eight at once: the model alone", "p50": alone, "p95": "", "ratio": rate / alone},
    ]


TRACKS_WITH_VECTORS = 200


def _fill(windows: int, encoder: str) -> Made:
    """A catalogue in database and index; the first tracks have kept vectors too."""
    from apps.analysis.index import get_index
    from apps.analysis.models import TrackAnalysis
    from apps.analysis.representations import keep
    from apps.analysis.spaces import active_space, ensure_spaces
    from apps.catalog.models import Collection, Track
    from apps.jobs.models import State
    from audiosearch.engine.analyzers.base import Embeddings
    from audiosearch.engine.indexes.payloads import TrackPayload

    ensure_spaces()
    space = active_space()
    if space.analyzer != encoder:
        raise SystemExit(f"The active space is of {space.analyzer}.")
    made = Made(windows, space.dimension)
    Collection.objects.bulk_create([Collection(name=f"Collection {n}") for n in range(1, 6)])
    count = len(made.collections)
    Track.objects.bulk_create(
        [
            Track(
                pk=number + 1,
                file=f"tracks/{number}.flac",
                original_name=f"{number}.flac",
                sha256=f"{number:064}",
                title=f"Track {number}",
                collection_id=int(made.collections[number]),
                duration_ms=55_000,
                sample_rate=32_000,
                channels=1,
                format="FLAC",
                size_bytes=1,
            )
            for number in range(count)
        ],
        batch_size=500,
    )
    TrackAnalysis.objects.bulk_create(
        [
            TrackAnalysis(track_id=n + 1, space=space, state=State.READY, windows=WINDOWS)
            for n in range(count)
        ],
        batch_size=500,
    )
    index = get_index()
    index.rebuild(space.name, space.dimension, TrackPayload.layout, made.tracks())
    time.sleep(SETTLE_S)
    for track in made.tracks():
        if track.payload.item_id > TRACKS_WITH_VECTORS:
            break
        found = Embeddings(track.embeddings, np.array(track.spans, np.int64))
        keep(space.name, track.payload.item_id, found)
    return made


def _layer(index: Any, made: Made, rounds: int) -> tuple[list[float], list[float]]:
    """Ours and the bare client in alternation, by one vector."""
    from apps.analysis.spaces import active_space
    from apps.search.results import SearchResult
    from apps.search.services import _hits
    from audiosearch.engine.indexes.filters import TrackFilter
    from audiosearch.engine.indexes.milvus_schema import alias_of, search_params

    space = active_space().name
    alias, limit = alias_of("audiosearch", space), 10
    ours: list[float] = []
    bare: list[float] = []

    def search(query: Any) -> None:
        matches = index.search(space, query, 10, TrackFilter())
        SearchResult({}, _hits(matches, np.zeros((len(query), 2), np.int64))).as_json()

    def plain(query: Any) -> None:
        index._connection.call(
            lambda client: client.search(
                alias,
                data=list(query),
                limit=limit,
                output_fields=["track_id", "start_ms", "end_ms"],
                search_params=search_params(limit),
                consistency_level="Bounded",
            )
        )

    queries = made.queries(rounds)
    for query in queries:  # the id map is warm, as it is for tracks that are found again
        search(query[None])
    for query in queries:
        for call, times in ((search, ours), (plain, bare)):
            began = time.perf_counter()
            call(query[None])
            times.append((time.perf_counter() - began) * 1000)
    return ours, bare


def _eight_at_once(by_clip: Callable[[], object], clip: bytes) -> tuple[float, float]:
    """Whole searches a second, and what the model does in the same threads and nothing else."""
    from django.conf import settings

    from apps.search.queries import active_encoder, embed_query
    from audiosearch.engine.audio.sandbox import decode

    encoder = active_encoder()[1]
    path = Path(settings.DATA_DIR) / "clip.flac"
    path.write_bytes(clip)
    samples = decode(path, encoder.spec.sample_rate)
    rounds = [
        (_per_second(by_clip), _per_second(lambda: embed_query(samples, encoder))) for _ in range(3)
    ]
    together, alone = np.median(rounds, axis=0)
    return float(together), float(alone)


def _per_second(call: Callable[[], object], each: int = 10) -> float:
    """Calls a second from eight threads."""

    def repeat() -> None:
        for _ in range(each):
            call()

    threads = [threading.Thread(target=repeat) for _ in range(AT_ONCE)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return AT_ONCE * each / (time.perf_counter() - began)


def _answer(response: Any) -> dict[str, Any]:
    if response.status_code != 200:
        raise SystemExit(f"{response.status_code}: {response.content[:500]!r}")
    return dict(response.json())


def _spread(times: list[float]) -> dict[str, Any]:
    p50, p95 = np.percentile(times, [50, 95])
    return {"p50": float(p50), "p95": float(p95), "ratio": ""}


if __name__ == "__main__":
    main()
