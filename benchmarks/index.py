"""Time the vector index as a catalogue grows, and compare its answers with exact ones.

    python -m benchmarks.index [FOLDER] [--windows 1000,10000,100000] [--dimension 128]
                               [--lite 20000] [--flat] [--ef 320] [--rounds 200] [--json]

For each size a catalogue of clustered windows is made, in tracks of ten. With FOLDER, 1,000 real
windows (of its audio, by the spectral encoder) stand among them, and every other query is near one
of those. The Milvus server holds --windows, Milvus Lite --lite; --flat adds the server with the
exact index at every size, and --ef searches the graph with each of these breadths. Each query asks
for ten tracks by one vector, with filters that leave so much; recall is the part of the ten truly
nearest tracks that were found. Times in ms.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.made import SHARES, Made, real_windows
from benchmarks.report import folder_mb, latencies, resident_mb, show

TOP_K = 10
SETTLE_S = 20
"""Milvus compacts for a while what it was given."""
NO_LIMIT = 1 << 62


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--windows", type=_numbers, default=[1_000, 10_000, 100_000])
    parser.add_argument("--lite", type=_numbers, default=[])
    parser.add_argument("--dimension", type=int, default=128)
    parser.add_argument("--flat", action="store_true")
    parser.add_argument("--ef", type=_numbers, default=[])
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    from audiosearch.engine.indexes import milvus as milvus_index
    from audiosearch.engine.indexes import milvus_schema
    from audiosearch.engine.indexes.milvus import MilvusIndex
    from tests.servers import milvus_lite, milvus_server

    real = real_windows(options.folder, 1_000) if options.folder else None
    builds: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []

    def measure(name: str, index: MilvusIndex, folder: Path, windows: int) -> None:
        made = Made(windows, options.dimension, real=real)
        builds.append(_build(name, index, folder, made))
        for breadth in options.ef or [milvus_schema.GRAPH_SEARCH_BREADTH]:
            for module in (milvus_schema, milvus_index):  # both hold it by name
                vars(module)["GRAPH_SEARCH_BREADTH"] = breadth
            title = f"{name}, ef {breadth}" if options.ef else name
            rows.extend(_search(title, index, made, options.rounds))
        index.drop_space("made")

    with tempfile.TemporaryDirectory() as scratch:
        lite, server = Path(scratch) / "lite", Path(scratch) / "server"
        if options.lite:
            with milvus_lite(lite) as uri:
                for windows in options.lite:
                    measure("Lite", MilvusIndex(uri), lite, windows)
        if options.windows:
            with milvus_server(server) as uri:
                for windows in options.windows:
                    for limit in (milvus_schema.EXACT_BYTES, NO_LIMIT)[: 1 + options.flat]:
                        index = MilvusIndex(uri, exact_bytes=limit)
                        kind = index._builder.kind_for(windows * options.dimension * 4)
                        measure(f"server, {kind}", index, server, windows)
    title = f"{options.dimension} dimensions, {0 if real is None else len(real)} windows real"
    show(f"index, building, {title}", builds, as_json=options.json)
    show(f"index, searching, {title}", rows, as_json=options.json)


def _build(name: str, index: Any, folder: Path, made: Made) -> dict[str, Any]:
    """Write, index and load. Memory and disk are what all of the server has then."""
    from audiosearch.engine.indexes.payloads import TrackPayload

    began = time.perf_counter()
    index.rebuild("made", made.vectors.shape[1], TrackPayload.layout, made.tracks())
    seconds = time.perf_counter() - began
    time.sleep(SETTLE_S)
    _await_merges(index)
    return {
        "index": name,
        "windows": len(made.vectors),
        "build s": seconds,
        "memory MB": resident_mb(str(folder)),
        "disk MB": folder_mb(folder),
    }


def _await_merges(index: Any) -> None:
    """Return when the server has merged and indexed anew what it had indexed in small segments."""
    name = index._spaces.current("made")
    while not index._connection.lite:
        found = index._connection.call(lambda client: client.describe_index(name, "embedding"))
        if not int(found.get("pending_index_rows", 0)):
            return
        time.sleep(1)


def _search(name: str, index: Any, made: Made, rounds: int) -> list[dict[str, Any]]:
    from audiosearch.engine.indexes.filters import TrackFilter

    queries = made.queries(rounds)
    rows = []
    for number, share in enumerate(["all", *SHARES]):
        where = TrackFilter(collection_ids=(number,)) if number else TrackFilter()
        exact = made.nearest(queries, TOP_K, number or None)
        found: list[set[int]] = [set()] * rounds

        def search(at: int, where: Any = where, found: list[set[int]] = found) -> None:
            matches = index.search("made", queries[at : at + 1], TOP_K, where)
            found[at] = {match.item_id for match in matches}

        search(0)
        times = latencies(search, rounds)
        recalls = [
            len(have & set(want)) / len(want) if want else float(not have)
            for have, want in zip(found, exact, strict=True)
        ]
        rows.append(
            {
                "index": name,
                "windows": len(made.vectors),
                "filter leaves": share,
                **times,
                "recall@10": f"{np.mean(recalls):.4f}",
            }
        )
    return rows


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",") if part]


if __name__ == "__main__":
    main()
