"""The contract against Milvus Lite and the Milvus server; then what only a server can do: die."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from audiosearch.engine.errors import IndexUnavailable
from audiosearch.engine.indexes.base import Filter
from audiosearch.engine.indexes.exact import ExactIndex
from audiosearch.engine.indexes.milvus import MilvusIndex
from audiosearch.engine.indexes.milvus_schema import alias_of
from tests import servers
from tests.index_contract import DIMENSION, IndexContract, clustered, near, random_unit, track, unit


class TestMilvusLite(IndexContract):
    @pytest.fixture
    def index(self, milvus_lite_uri: str) -> MilvusIndex:
        return MilvusIndex(milvus_lite_uri, prefix="contract")


class TestMilvusServer(IndexContract):
    @pytest.fixture
    def index(self, milvus_server_uri: str) -> MilvusIndex:
        return MilvusIndex(milvus_server_uri, prefix="contract")


@pytest.fixture(params=["lite", "server"])
def any_uri(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(f"milvus_{request.param}_uri"))


@pytest.fixture
def vector() -> np.ndarray:
    return random_unit(np.random.default_rng(1), 1)


def test_another_client_sees_a_write_at_once(any_uri: str, vector: np.ndarray) -> None:
    writer, reader = (MilvusIndex(any_uri, prefix="two") for _ in range(2))
    writer.create_space("s", DIMENSION)
    reader.search("s", vector, 1, Filter())
    for number in range(1, 6):
        writer.upsert("s", [track(number, vector)])
        assert len(reader.search("s", vector, 9, Filter())) == number
        assert reader.count_tracks("s", Filter()) == number
    writer.drop_space("s")


def test_more_windows_than_one_page(milvus_server_uri: str) -> None:
    index = MilvusIndex(milvus_server_uri, prefix="pages")
    index.create_space("s", 4)
    windows = unit(np.ones((1000, 4), dtype=np.float32))
    index.upsert("s", [track(number, windows) for number in range(1, 21)])
    assert index.window_counts("s") == dict.fromkeys(range(1, 21), 1000)
    assert len(index.search("s", windows[:1], 20, Filter())) == 20
    index.delete_tracks("s", range(1, 11))
    assert index.count_tracks("s", Filter()) == 10
    index.drop_space("s")


class TestGraph:
    """A space large enough for a graph; here, one whose every size is."""

    @pytest.fixture
    def graph(self, milvus_server_uri: str) -> Iterator[MilvusIndex]:
        index = MilvusIndex(milvus_server_uri, prefix="graph", exact_bytes=0)
        yield index
        index.drop_space("s")

    def test_like_long_recordings_without_an_edge_between_them(self, graph: MilvusIndex) -> None:
        rng = np.random.default_rng(8)
        tracks = [track(n, near(random_unit(rng, 1), 720, 0.02, rng)) for n in range(1, 31)]
        exact = ExactIndex()
        for index in (graph, exact):
            index.rebuild("s", DIMENSION, tracks)
        assert graph._has_graph(str(graph._current("s")))
        for number in (1, 2, 3):
            query = tracks[number - 1].embeddings[:1]
            for where in (Filter(), Filter(exclude_track_ids=(number,))):
                for top_k in (10, 30):
                    have, want = (i.search("s", query, top_k, where) for i in (graph, exact))
                    assert [m.track_id for m in have] == [m.track_id for m in want]

    def test_misses_next_to_nothing(self, graph: MilvusIndex) -> None:
        rng = np.random.default_rng(9)
        tracks = clustered(3000, rng)
        exact = ExactIndex()
        for index in (graph, exact):
            index.rebuild("s", DIMENSION, tracks)
        found = 0
        for query in random_unit(rng, 50):
            have, want = (i.search("s", query[None], 10, Filter()) for i in (graph, exact))
            found += len({m.track_id for m in have} & {m.track_id for m in want})
        assert found >= 490

    def test_only_a_space_without_one_outgrows(self, graph: MilvusIndex) -> None:
        graph.rebuild("s", DIMENSION, [track(1, random_unit(np.random.default_rng(2), 9))])
        assert not graph.outgrown("s")
        graph.create_space("new", DIMENSION)
        assert not graph.outgrown("new")
        graph.upsert("new", [track(1, random_unit(np.random.default_rng(3), 100))])
        graph._connection.call(lambda client: client.flush(graph._current("new")))
        assert graph.outgrown("new")
        graph.drop_space("new")


def test_a_half_built_revision_is_dropped_by_the_next_rebuild(
    any_uri: str, vector: np.ndarray
) -> None:
    index = MilvusIndex(any_uri, prefix="half")
    index.rebuild("s", DIMENSION, [track(1, vector)])

    def breaks() -> Iterator[object]:
        yield track(2, vector)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        index.rebuild("s", DIMENSION, breaks())  # type: ignore[arg-type]
    assert index.window_counts("s") == {1: 1}
    index.rebuild("s", DIMENSION, [track(3, vector)])
    collections = index._connection.call(lambda client: client.list_collections())
    assert len([name for name in collections if name.startswith(alias_of("half", "s"))]) == 1
    index.drop_space("s")


def test_usable_after_fork(any_uri: str) -> None:
    """In a process of its own: a fork of the test runner would inherit all its threads."""
    program = """
import os, sys
import numpy as np
from audiosearch.engine.indexes.exact import ExactIndex
from audiosearch.engine.indexes.base import Filter
from audiosearch.engine.indexes.milvus import MilvusIndex
index = MilvusIndex(sys.argv[1], prefix="fork")
index.create_space("s", 4)
children = []
for number in range(3):
    child = os.fork()
    if child == 0:
        index.search("s", np.ones((1, 4), dtype="f4"), 1, Filter())
        os._exit(0)
    children.append(child)
index.search("s", np.ones((1, 4), dtype="f4"), 1, Filter())
assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
index.drop_space("s")
"""
    subprocess.run([sys.executable, "-c", program, any_uri], check=True, timeout=60)


def test_a_server_that_dies_and_comes_back(tmp_path: Path, vector: np.ndarray) -> None:
    port = servers.free_port()
    index = MilvusIndex(f"http://127.0.0.1:{port}", timeout_s=5)
    with pytest.raises(IndexUnavailable):
        index.ping()
    with servers.milvus_lite(tmp_path / "lite", port=port):
        index.create_space("s", DIMENSION)
        index.upsert("s", [track(1, vector)])
    for attempt in range(3):
        started = time.monotonic()
        with pytest.raises(IndexUnavailable, match="cannot be reached"):
            index.search("s", vector, 1, Filter())
        assert time.monotonic() - started < (6 if attempt == 0 else 1)
    with servers.milvus_lite(tmp_path / "lite", port=port):
        assert [m.track_id for m in index.search("s", vector, 1, Filter())] == [1]
        index.upsert("s", [track(2, vector)])
        assert index.count_tracks("s", Filter()) == 2


def test_a_server_that_hangs(tmp_path: Path, vector: np.ndarray) -> None:
    with servers.milvus_lite(tmp_path / "lite") as uri:
        index = MilvusIndex(uri, timeout_s=1)
        index.create_space("s", DIMENSION)
        (pid,) = pids_listening_on(int(uri.rpartition(":")[2]))
        os.kill(pid, signal.SIGSTOP)
        started = time.monotonic()
        with pytest.raises(IndexUnavailable, match="in time"):
            index.search("s", vector, 1, Filter())
        assert time.monotonic() - started < 3
        os.kill(pid, signal.SIGCONT)
        assert index.search("s", vector, 1, Filter()) == []


def test_a_server_that_never_says_a_word() -> None:
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


def pids_listening_on(port: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (entry / "cmdline").exists():
            words = (entry / "cmdline").read_bytes().split(b"\0")
            if b"--port" in words and str(port).encode() in words:
                found.append(int(entry.name))
    return found
