"""The contract of landmark indexes against Milvus Lite, and what an old server is told."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from apps.analysis.drift import find_drift
from apps.analysis.worker import work
from apps.catalog.services.adding import add_track
from apps.catalog.services.deleting import delete_tracks
from apps.search.same_recording import recognise
from audiosearch.engine.analyzers.landmarks.representation import Landmarks
from audiosearch.engine.analyzers.landmarks.spectrum import SAMPLE_RATE
from audiosearch.engine.errors import EngineError
from audiosearch.engine.indexes.filters import TrackFilter
from audiosearch.engine.indexes.landmarks_base import LandmarkEntry
from audiosearch.engine.indexes.landmarks_exact import ExactLandmarkIndex
from audiosearch.engine.indexes.landmarks_milvus import MilvusLandmarkIndex
from audiosearch.engine.indexes.payloads import Layout
from tests.audio_files import write_audio
from tests.landmark_index_contract import (
    EVERYTHING,
    TRACKS,
    LandmarkIndexContract,
    asked,
    made,
)
from tests.landmark_sounds import made_song


class WithKept(MilvusLandmarkIndex):
    """Keeps the landmarks of what it is given, as the product keeps them in files."""

    def __init__(self, uri: str, prefix: str) -> None:
        super().__init__(uri, self._read, prefix=prefix)
        self.kept: dict[int, Landmarks] = {}

    def upsert(self, space: str, entries: Sequence[LandmarkEntry]) -> None:
        self.kept |= {entry.payload.item_id: entry.landmarks for entry in entries}
        super().upsert(space, entries)

    def rebuild(self, space: str, layout: Layout, entries: Iterable[LandmarkEntry]) -> None:
        held = list(entries)
        self.kept |= {entry.payload.item_id: entry.landmarks for entry in held}
        super().rebuild(space, layout, held)

    def _read(self, items: Sequence[int]) -> Mapping[int, Landmarks]:
        return {item: self.kept[item] for item in items if item in self.kept}


class TestMilvusLandmarks(LandmarkIndexContract):
    @pytest.fixture
    def index(self, milvus_lite_uri: str) -> MilvusLandmarkIndex:
        return WithKept(milvus_lite_uri, "landmark_contract")


def test_it_finds_what_the_twin_finds(milvus_lite_uri: str) -> None:
    index, twin = WithKept(milvus_lite_uri, "landmark_twin"), ExactLandmarkIndex()
    entries = [made(n) for n in range(1, 41)]
    for each in (index, twin):
        each.create_space("s", TRACKS)
        each.upsert("s", entries)
    for item in range(1, 41, 3):
        one, other = (each.candidates("s", asked(item), 5, EVERYTHING) for each in (index, twin))
        assert (one.item_ids[0], one.offsets[0]) == (other.item_ids[0], other.offsets[0])
    index.drop_space("s")


def test_an_item_without_kept_landmarks_is_left_out(milvus_lite_uri: str) -> None:
    index = WithKept(milvus_lite_uri, "landmark_gone")
    index.create_space("s", TRACKS)
    index.upsert("s", [made(1), made(2)])
    del index.kept[1]
    assert 1 not in index.candidates("s", asked(1), 5, EVERYTHING).item_ids
    assert index.candidates("s", asked(2), 5, EVERYTHING).item_ids[0] == 2
    index.drop_space("s")


@pytest.mark.django_db(transaction=True)
def test_the_product_asks_it(milvus_lite_uri: str, settings: Any, tmp_path: Path) -> None:
    """With LANDMARK_INDEX=milvus: what is kept is verified against, and what is deleted goes."""
    settings.MILVUS_URI, settings.MILVUS_PREFIX = milvus_lite_uri, "landmark_product"
    settings.LANDMARK_INDEX = "milvus"
    tracks = []
    for seed in (1, 2, 3):
        path = write_audio(tmp_path / f"{seed}.wav", made_song(seed, seconds=20), SAMPLE_RATE)
        tracks.append(add_track(source=path, name=path.name).track.pk)
    work()
    excerpt = made_song(2, seconds=20)[5 * SAMPLE_RATE : 12 * SAMPLE_RATE]
    found = recognise(excerpt, top_k=1, where=TrackFilter())
    assert (found.verdict, found.hits[0].item_id) == ("match", tracks[1])
    assert find_drift() == []
    delete_tracks([tracks[1]])
    assert recognise(excerpt, top_k=1, where=TrackFilter()).verdict == "none"


def test_a_server_without_sparse_vectors_is_refused(milvus_server_uri: str) -> None:
    index = WithKept(milvus_server_uri, "landmark_old")
    for call in (
        index.ping,
        lambda: index.create_space("s", TRACKS),
        lambda: index.rebuild("s", TRACKS, []),
    ):
        with pytest.raises(EngineError, match=r"2\.4 or later.*LANDMARK_INDEX=segments"):
            call()
    assert index.spaces() == []
