"""A Milvus server that dies, hangs, or never says a word: whoever asks is told so in time."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from audiosearch.engine.errors import IndexUnavailable
from audiosearch.engine.indexes.base import Entry
from audiosearch.engine.indexes.filters import TrackFilter
from audiosearch.engine.indexes.milvus import MilvusIndex
from audiosearch.engine.indexes.payloads import TrackPayload
from tests import servers
from tests.index_contract import DIMENSION, TRACKS, random_unit, track

pytestmark = [pytest.mark.slow, pytest.mark.alone]
VECTOR = random_unit(np.random.default_rng(1), 1)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[servers.Server]:
    """One that no other test uses."""
    with servers.milvus_server_process(tmp_path / "data") as server:
        yield server


def test_a_search_does_not_wait_for_a_server_that_hangs(server: servers.Server) -> None:
    vectors = np.eye(3, 8, dtype=np.float32)
    tracks = [
        Entry(TrackPayload(number), vectors[number : number + 1], [(0, 1000)])
        for number in range(3)
    ]
    index = MilvusIndex(server.url)
    index.create_space("space", 8, TrackPayload.layout)
    index.upsert("space", tracks)
    for _ in range(2):
        assert index.search("space", vectors[:1], 1, TrackFilter())[0].item_id == 0
        server.pause()
        for call in (lambda: index.search("space", vectors[:1], 1, TrackFilter()), index.ping):
            began = time.monotonic()
            with pytest.raises(IndexUnavailable, match="does not answer in time"):
                call()
            # The promise is 2 s for a whole request; half a second more is this machine's.
            assert time.monotonic() - began < 2.5
        server.resume()
        index.ping()


def test_it_dies_and_comes_back(tmp_path: Path) -> None:
    port = servers.free_port()
    index = MilvusIndex(f"http://127.0.0.1:{port}", timeout_s=5)
    with pytest.raises(IndexUnavailable):
        index.ping()
    with servers.milvus_lite(tmp_path / "lite", port=port):
        index.create_space("s", DIMENSION, TRACKS)
        index.upsert("s", [track(1, VECTOR)])
    for attempt in range(3):
        started = time.monotonic()
        with pytest.raises(IndexUnavailable, match="cannot be reached"):
            index.search("s", VECTOR, 1, TrackFilter())
        assert time.monotonic() - started < (6 if attempt == 0 else 1)
    with servers.milvus_lite(tmp_path / "lite", port=port):
        assert [m.item_id for m in index.search("s", VECTOR, 1, TrackFilter())] == [1]
        index.upsert("s", [track(2, VECTOR)])
        assert index.count_items("s", TrackFilter()) == 2


def test_it_hangs(tmp_path: Path) -> None:
    with servers.milvus_lite_process(tmp_path / "lite") as server:
        index = MilvusIndex(server.url, timeout_s=1)
        index.create_space("s", DIMENSION, TRACKS)
        server.pause()
        started = time.monotonic()
        with pytest.raises(IndexUnavailable, match="in time"):
            index.search("s", VECTOR, 1, TrackFilter())
        assert time.monotonic() - started < 3
        server.resume()
        assert index.search("s", VECTOR, 1, TrackFilter()) == []


def test_it_never_says_a_word() -> None:
    """Threads do not queue up behind one another's attempts to connect."""
    took: list[float] = []

    def ping(index: MilvusIndex) -> None:
        started = time.monotonic()
        with pytest.raises(IndexUnavailable):
            index.ping()
        took.append(time.monotonic() - started)

    with socket.create_server(("127.0.0.1", 0)) as mute:
        index = MilvusIndex(f"http://127.0.0.1:{mute.getsockname()[1]}")
        threads = [Thread(target=ping, args=(index,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(took) == 8
    assert max(took) < 6
