"""The contract against Milvus Lite and the Milvus server, and what only several clients see."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from pymilvus import DataType

from audiosearch.engine.indexes.base import VectorIndex
from audiosearch.engine.indexes.exact import ExactIndex
from audiosearch.engine.indexes.filters import EnrolmentFilter, TrackFilter
from audiosearch.engine.indexes.milvus import MilvusIndex
from audiosearch.engine.indexes.milvus_schema import alias_of
from tests.index_contract import (
    DIMENSION,
    ENROLMENTS,
    TRACKS,
    IndexContract,
    clustered,
    enrolment,
    near,
    random_unit,
    track,
    unit,
)


class TestMilvusLite(IndexContract):
    @pytest.fixture
    def index(self, milvus_lite_uri: str) -> MilvusIndex:
        return MilvusIndex(milvus_lite_uri, prefix="contract")

    @pytest.mark.exhaustive  # Lite has no graph, which alone may fail here
    def test_like_a_long_recording_among_long_recordings(
        self, index: VectorIndex, rng: np.random.Generator
    ) -> None:
        super().test_like_a_long_recording_among_long_recordings(index, rng)


class TestMilvusServer(IndexContract):
    @pytest.fixture
    def index(self, milvus_server_uri: str) -> MilvusIndex:
        return MilvusIndex(milvus_server_uri, prefix="contract")


@pytest.fixture(params=["lite", pytest.param("server", marks=pytest.mark.exhaustive)])
def any_uri(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(f"milvus_{request.param}_uri"))


@pytest.fixture
def vector() -> np.ndarray:
    return random_unit(np.random.default_rng(1), 1)


def test_another_client_sees_a_write_at_once(any_uri: str, vector: np.ndarray) -> None:
    writer, reader = (MilvusIndex(any_uri, prefix="two") for _ in range(2))
    writer.create_space("s", DIMENSION, TRACKS)
    reader.search("s", vector, 1, TrackFilter())
    for number in range(1, 6):
        writer.upsert("s", [track(number, vector)])
        assert len(reader.search("s", vector, 9, TrackFilter())) == number
        assert reader.count_items("s", TrackFilter()) == number
    writer.drop_space("s")


def test_another_client_meets_other_columns(any_uri: str, vector: np.ndarray) -> None:
    """One that has written and searched before, and may remember the columns."""
    builder, other = (MilvusIndex(any_uri, prefix="columns") for _ in range(2))
    builder.create_space("s", DIMENSION, TRACKS)
    other.upsert("s", [track(1, vector)])
    other.search("s", vector, 1, TrackFilter())
    builder.rebuild("s", DIMENSION, ENROLMENTS, [enrolment(1, vector)])
    other.upsert("s", [enrolment(2, vector, groups=("a",))])
    assert len(other.search("s", vector, 9, EnrolmentFilter())) == 2
    assert len(other.search("s", vector, 9, EnrolmentFilter(groups=("a",)))) == 1
    other.delete_items("s", [1])
    assert builder.window_counts("s") == {2: 1}
    builder.drop_space("s")


def test_a_space_of_version_0_1_0_needs_no_rebuild(any_uri: str, vector: np.ndarray) -> None:
    index = MilvusIndex(any_uri, prefix="past")
    index._connection.call(create_as_version_0_1_0)
    assert index.spaces() == ["s"]
    assert not index.outdated("s", TRACKS)
    assert index.window_counts("s") == {1: 2}
    index.upsert("s", [track(2, vector, collection_id=5, tags=("new",))])
    where = TrackFilter(tags=("heavy rain",), kinds=("song",), collection_ids=(7,))
    assert [m.item_id for m in index.search("s", vector, 9, where)] == [1]
    assert index.count_items("s", TrackFilter()) == 2
    index.delete_items("s", [1])
    assert [m.item_id for m in index.search("s", vector, 9, TrackFilter())] == [2]
    index.drop_space("s")


def create_as_version_0_1_0(client: Any) -> None:
    """The space "s" behind the prefix "past", with one track of two windows, spelled out."""
    text = {"max_length": 1200}
    schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("id", DataType.INT64, is_primary=True)
    for name in ("track_id", "start_ms", "end_ms", "collection_id", "duration_ms", "added_at"):
        schema.add_field(name, DataType.INT64)
    schema.add_field("kind", DataType.VARCHAR, **text)
    schema.add_field("tags", DataType.ARRAY, element_type=DataType.VARCHAR, max_capacity=64, **text)
    schema.add_field("embedding", DataType.FLOAT_VECTOR, dim=DIMENSION)
    client.create_collection("past_s_r1", schema=schema)
    row = {
        "track_id": 1, "start_ms": 0, "end_ms": 5_000, "collection_id": 7, "duration_ms": 6_000,
        "added_at": 1_790_000_000, "kind": "song", "tags": ["heavy%20rain"],
        "embedding": np.eye(1, DIMENSION, dtype=np.float32)[0],
    }  # fmt: skip
    client.upsert("past_s_r1", [{"id": 1_048_576, **row}, {"id": 1_048_577, **row}])
    client.flush("past_s_r1")
    indexes = client.prepare_index_params()
    indexes.add_index("embedding", index_type="IVF_FLAT", metric_type="COSINE", nlist=1)
    client.create_index("past_s_r1", indexes)
    client.load_collection("past_s_r1")
    client.create_alias("past_s_r1", "past_s")


def test_more_windows_than_one_page(milvus_server_uri: str) -> None:
    index = MilvusIndex(milvus_server_uri, prefix="pages")
    index.create_space("s", 4, TRACKS)
    windows = unit(np.ones((1000, 4), dtype=np.float32))
    index.upsert("s", [track(number, windows) for number in range(1, 21)])
    assert index.window_counts("s") == dict.fromkeys(range(1, 21), 1000)
    assert len(index.search("s", windows[:1], 20, TrackFilter())) == 20
    index.delete_items("s", range(1, 11))
    assert index.count_items("s", TrackFilter()) == 10
    index.drop_space("s")


class TestGraph:
    """A space large enough for a graph; here, one whose every size is."""

    @pytest.fixture
    def graph(self, milvus_server_uri: str) -> Iterator[MilvusIndex]:
        index = MilvusIndex(milvus_server_uri, prefix="graph", exact_bytes=0)
        yield index
        index.drop_space("s")

    @pytest.mark.exhaustive
    def test_like_long_recordings_without_an_edge_between_them(self, graph: MilvusIndex) -> None:
        rng = np.random.default_rng(8)
        tracks = [track(n, near(random_unit(rng, 1), 720, 0.02, rng)) for n in range(1, 31)]
        exact = ExactIndex()
        for index in (graph, exact):
            index.rebuild("s", DIMENSION, TRACKS, tracks)
        assert graph._spaces.has_graph(str(graph._spaces.current("s")))
        for number in (1, 2, 3):
            query = tracks[number - 1].embeddings[:1]
            for where in (TrackFilter(), TrackFilter(exclude_item_ids=(number,))):
                for top_k in (10, 30):
                    have, want = (i.search("s", query, top_k, where) for i in (graph, exact))
                    assert [m.item_id for m in have] == [m.item_id for m in want]

    @pytest.mark.exhaustive
    def test_misses_next_to_nothing(self, graph: MilvusIndex) -> None:
        rng = np.random.default_rng(9)
        tracks = clustered(3000, rng)
        exact = ExactIndex()
        for index in (graph, exact):
            index.rebuild("s", DIMENSION, TRACKS, tracks)
        found = 0
        for query in random_unit(rng, 50):
            have, want = (i.search("s", query[None], 10, TrackFilter()) for i in (graph, exact))
            found += len({m.item_id for m in have} & {m.item_id for m in want})
        assert found >= 490

    @pytest.mark.exhaustive
    def test_only_a_space_without_one_outgrows(self, graph: MilvusIndex) -> None:
        graph.rebuild("s", DIMENSION, TRACKS, [track(1, random_unit(np.random.default_rng(2), 9))])
        assert not graph.outgrown("s")
        graph.create_space("new", DIMENSION, TRACKS)
        assert not graph.outgrown("new")
        graph.upsert("new", [track(1, random_unit(np.random.default_rng(3), 100))])
        assert graph.outgrown("new")
        graph.drop_space("new")


def test_a_half_built_revision_is_dropped_by_the_next_rebuild(
    any_uri: str, vector: np.ndarray
) -> None:
    index = MilvusIndex(any_uri, prefix="half")
    index.rebuild("s", DIMENSION, TRACKS, [track(1, vector)])

    def breaks() -> Iterator[object]:
        yield track(2, vector)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        index.rebuild("s", DIMENSION, TRACKS, breaks())  # type: ignore[arg-type]
    assert index.window_counts("s") == {1: 1}
    index.rebuild("s", DIMENSION, TRACKS, [track(3, vector)])
    collections = index._connection.call(lambda client: client.list_collections())
    assert len([name for name in collections if name.startswith(alias_of("half", "s"))]) == 1
    index.drop_space("s")


def test_usable_after_fork(any_uri: str) -> None:
    """In a process of its own: a fork of the test runner would inherit all its threads."""
    program = """
import os, sys
import numpy as np
from audiosearch.engine.indexes.exact import ExactIndex
from audiosearch.engine.indexes.filters import TrackFilter
from audiosearch.engine.indexes.milvus import MilvusIndex
from audiosearch.engine.indexes.payloads import TrackPayload
index = MilvusIndex(sys.argv[1], prefix="fork")
index.create_space("s", 4, TrackPayload.layout)
children = []
for number in range(3):
    child = os.fork()
    if child == 0:
        index.search("s", np.ones((1, 4), dtype="f4"), 1, TrackFilter())
        os._exit(0)
    children.append(child)
index.search("s", np.ones((1, 4), dtype="f4"), 1, TrackFilter())
assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
index.drop_space("s")
"""
    subprocess.run([sys.executable, "-c", program, any_uri], check=True, timeout=60)
