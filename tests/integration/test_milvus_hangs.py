"""A Milvus server that takes requests and answers none: searches say so within two seconds."""

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from audiosearch.engine.errors import IndexUnavailable
from audiosearch.engine.indexes.base import Entry
from audiosearch.engine.indexes.filters import TrackFilter
from audiosearch.engine.indexes.milvus import MilvusIndex
from audiosearch.engine.indexes.payloads import TrackPayload
from tests import servers


@pytest.fixture
def server(tmp_path: Path) -> Iterator[servers.Server]:
    """One that no other test uses."""
    with servers.milvus_server_process(tmp_path / "data") as server:
        yield server


@pytest.mark.alone
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
