"""What every landmark index must do; run against the exact twin, the segments and Milvus Lite.

Tracks are made of random peaks: two of them have no more in common than two songs.
"""

import itertools
from collections.abc import Iterator
from threading import Event, Thread

import numpy as np
import pytest

from audiosearch.engine.analyzers.landmarks.hashes import hash_pairs
from audiosearch.engine.analyzers.landmarks.representation import Landmarks
from audiosearch.engine.errors import SpaceMissing
from audiosearch.engine.indexes.filters import TrackFilter
from audiosearch.engine.indexes.landmarks_base import (
    MARGIN,
    PER_ITEM,
    STRETCH,
    LandmarkEntry,
    LandmarkIndex,
    LandmarkQuery,
)
from audiosearch.engine.indexes.payloads import Layout, TrackPayload
from tests.index_contract import HOSTILE_TAGS

TRACKS = TrackPayload.layout
OTHER = Layout(item="track_id", integers=("collection_id",))
EVERYTHING = TrackFilter()
SPACE = "landmarks-v1"
FRAMES_PER_SECOND = 11_025 / 256
SECONDS = 20
TOP = 50


def random_landmarks(seed: int, seconds: float = SECONDS) -> Landmarks:
    """25 peaks a second anywhere, in a recording of this length."""
    rng = np.random.default_rng(seed)
    length = round(seconds * FRAMES_PER_SECOND)
    count = round(25 * seconds)
    frames = np.sort(rng.integers(0, length, count)).astype(np.int32)
    bins = rng.integers(14, 464, count).astype(np.uint16)
    ranks = rng.integers(0, 25, count).astype(np.uint8)
    return Landmarks(frames, bins, ranks, np.array([length], np.int32))


def repeated(landmarks: Landmarks, times: int) -> Landmarks:
    """The recording played over and over."""
    length = int(landmarks.length[0])
    starts = np.repeat(np.arange(times) * length, len(landmarks.frames))
    return Landmarks(
        (np.tile(landmarks.frames, times) + starts).astype(np.int32),
        np.tile(landmarks.bins, times),
        np.tile(landmarks.ranks, times),
        np.array([times * length], np.int32),
    )


def entry(item_id: int, landmarks: Landmarks, **columns: object) -> LandmarkEntry:
    return LandmarkEntry(TrackPayload(item_id, **columns), landmarks)  # type: ignore[arg-type]


def made(item_id: int, **columns: object) -> LandmarkEntry:
    """A track whose landmarks follow from its number."""
    return entry(item_id, random_landmarks(item_id), **columns)


def excerpt(landmarks: Landmarks, begin_s: float, seconds: float) -> LandmarkQuery:
    """The query that this part of a recording makes, every peak of it heard."""
    first, length = (round(value * FRAMES_PER_SECOND) for value in (begin_s, seconds))
    inside = (landmarks.frames >= first) & (landmarks.frames < first + length)
    frames = landmarks.frames[inside] - first
    hashes, firsts = hash_pairs(frames, landmarks.bins[inside].astype(np.int32), 8)
    weights = np.ones(len(hashes), np.float32)
    return LandmarkQuery(hashes.astype(np.int64), firsts, weights, length)


def asked(item_id: int, begin_s: float = 8, seconds: float = 6) -> LandmarkQuery:
    return excerpt(random_landmarks(item_id), begin_s, seconds)


def frame(seconds: float) -> int:
    return round(seconds * FRAMES_PER_SECOND)


def best(index: LandmarkIndex, query: LandmarkQuery, where: TrackFilter = EVERYTHING) -> int | None:
    """The item with most votes, if any has more than chance gives."""
    found = index.candidates(SPACE, query, TOP, where)
    return int(found.item_ids[0]) if len(found) and found.votes[0] >= 8 else None


class LandmarkIndexContract:
    tolerance = 2
    """Frames by which an offset may be off."""

    @pytest.fixture
    def space(self, index: LandmarkIndex) -> Iterator[str]:
        """An empty space; emptied, not dropped, as a server takes seconds to make one."""
        index.create_space(SPACE, TRACKS)
        index.delete_items(SPACE, list(index.item_lengths(SPACE)))
        yield SPACE
        index.delete_items(SPACE, list(index.item_lengths(SPACE)))

    def test_spaces_come_and_go(self, index: LandmarkIndex) -> None:
        names = ["a-v1", "a_b-v1"]
        before = set(index.spaces())
        for name in names:
            index.create_space(name, TRACKS)
            index.create_space(name, TRACKS)
        assert set(index.spaces()) - before == set(names)
        for name in (*names, "never_r1"):
            index.drop_space(name)
        assert set(index.spaces()) == before

    def test_votes_tell_nothing_of_what_is_hidden_or_gone(
        self, index: LandmarkIndex, space: str
    ) -> None:
        """A copy that the filter leaves out, or that was deleted, makes no hash more common."""
        index.upsert(space, [made(1), made(2)])
        alone = index.candidates(space, asked(1), TOP, EVERYTHING).votes[0]
        index.upsert(space, [entry(3, random_landmarks(1), collection_id=7)])
        seen = index.candidates(space, asked(1), TOP, TrackFilter(exclude_collection_ids=(7,)))
        assert seen.votes[0] == alone
        assert index.candidates(space, asked(1), TOP, EVERYTHING).votes[0] < alone
        index.delete_items(space, [3])
        assert index.candidates(space, asked(1), TOP, EVERYTHING).votes[0] == alone

    def test_unknown_space(self, index: LandmarkIndex) -> None:
        for call in (
            lambda: index.candidates("nowhere", asked(1), 3, EVERYTHING),
            lambda: index.upsert("nowhere", [made(1)]),
            lambda: index.upsert("nowhere", []),
            lambda: index.delete_items("nowhere", [1]),
            lambda: index.count_items("nowhere", EVERYTHING),
            lambda: index.item_lengths("nowhere"),
            lambda: index.size_bytes("nowhere"),
        ):
            with pytest.raises(SpaceMissing):
                call()
        index.drop_space("nowhere")
        assert not index.outdated("nowhere", TRACKS)

    def test_empty_space(self, index: LandmarkIndex, space: str) -> None:
        found = index.candidates(space, asked(1), 10, EVERYTHING)
        assert len(found) == len(found.peak_frames) == 0
        assert found.peak_starts.tolist() == [0]
        assert index.count_items(space, EVERYTHING) == 0
        assert index.item_lengths(space) == {}
        index.delete_items(space, [1])
        index.upsert(space, [])
        index.ping()

    def test_place_votes_and_peaks(self, index: LandmarkIndex, space: str) -> None:
        index.upsert(space, [made(n) for n in range(1, 9)])
        for item, begin_s, seconds in ((3, 8, 6), (5, 0, 3), (8, 10, 10)):
            found = index.candidates(space, asked(item, begin_s, seconds), TOP, EVERYTHING)
            assert found.item_ids[0] == item
            assert abs(found.offsets[0] - frame(begin_s)) <= self.tolerance
            assert found.votes[0] > 3 * found.votes[1:].max(initial=0)
            assert (np.diff(found.votes) <= 0).all()
            assert found.votes.dtype == np.float32
            assert_peaks(found, 0, random_landmarks(item), frame(seconds))

    def test_a_query_may_begin_before_the_track(self, index: LandmarkIndex, space: str) -> None:
        index.upsert(space, [made(n) for n in range(1, 4)])
        query = asked(2, 0, 6)
        late = LandmarkQuery(query.hashes, query.frames + 100, query.weights, query.length + 100)
        found = index.candidates(space, late, TOP, EVERYTHING)
        assert found.item_ids[0] == 2
        assert abs(found.offsets[0] + 100) <= self.tolerance
        assert_peaks(found, 0, random_landmarks(2), late.length)

    def test_nothing_to_ask(self, index: LandmarkIndex, space: str) -> None:
        index.upsert(space, [made(1)])
        none = np.zeros(0, np.int64)
        silent = LandmarkQuery(none, none.astype(np.int32), none.astype(np.float32), 100)
        assert len(index.candidates(space, silent, 9, EVERYTHING)) == 0
        assert len(index.candidates(space, asked(1), 0, EVERYTHING)) == 0

    def test_a_track_without_peaks(self, index: LandmarkIndex, space: str) -> None:
        silent = Landmarks(
            np.zeros(0, np.int32), np.zeros(0, np.uint16), np.zeros(0, np.uint8),
            np.array([400], np.int32),
        )  # fmt: skip
        index.upsert(space, [entry(1, silent, tags=("a",)), made(2)])
        assert index.item_lengths(space) == {1: 0, 2: 25 * SECONDS}
        assert index.count_items(space, EVERYTHING) == 2
        assert index.count_items(space, TrackFilter(tags=("a",))) == 1
        assert best(index, asked(2)) == 2
        index.delete_items(space, [1])
        assert index.item_lengths(space) == {2: 25 * SECONDS}

    def test_write_replace_delete(self, index: LandmarkIndex, space: str) -> None:
        index.upsert(space, [made(1, tags=("old",)), made(2, tags=("old",))])
        index.upsert(space, [entry(1, random_landmarks(77, 16), tags=("new",))])
        assert best(index, asked(1)) is None
        assert best(index, excerpt(random_landmarks(77, 16), 8, 6)) == 1
        assert best(index, asked(2), TrackFilter(tags=("old",))) == 2
        assert index.count_items(space, TrackFilter(tags=("old",))) == 1
        assert index.item_lengths(space) == {1: 25 * 16, 2: 25 * SECONDS}
        index.delete_items(space, [2, 99])
        assert best(index, asked(2)) is None
        assert index.item_lengths(space) == {1: 25 * 16}
        assert index.count_items(space, EVERYTHING) == 1
        index.upsert(space, [made(2)])
        assert best(index, asked(2)) == 2

    def test_only_the_payload_changes(self, index: LandmarkIndex, space: str) -> None:
        index.upsert(space, [made(n, collection_id=1) for n in range(1, 4)])
        index.upsert(space, [made(2, collection_id=5, tags=("x",))])
        assert best(index, asked(2), TrackFilter(collection_ids=(5,), tags=("x",))) == 2
        assert best(index, asked(2), TrackFilter(collection_ids=(1,))) is None
        assert index.count_items(space, TrackFilter(collection_ids=(1,))) == 2
        assert index.item_lengths(space) == dict.fromkeys((1, 2, 3), 25 * SECONDS)

    def test_the_last_of_several_counts(self, index: LandmarkIndex, space: str) -> None:
        index.upsert(space, [made(1, tags=("a",)), entry(1, random_landmarks(2), tags=("b",))])
        assert best(index, asked(1)) is None
        assert best(index, asked(2), TrackFilter(tags=("b",))) == 1
        assert index.count_items(space, EVERYTHING) == 1

    def test_the_hidden_take_nobody_s_place(self, index: LandmarkIndex, space: str) -> None:
        """Copies of what is asked for, all hidden, and one track that shares little with it."""
        shared = random_landmarks(1)
        hidden = [entry(n, shared, collection_id=9) for n in range(1, 41)]
        first, other = shared.frames < frame(10), random_landmarks(50)
        later = other.frames >= frame(10)
        mixed = Landmarks(
            *(np.concatenate([getattr(shared, n)[first], getattr(other, n)[later]])
              for n in ("frames", "bins", "ranks")), other.length,
        )  # fmt: skip
        index.upsert(space, [*hidden, entry(100, mixed)])
        where = TrackFilter(exclude_collection_ids=(9,))
        found = index.candidates(space, asked(1, 2, 12), 3, where)
        assert set(found.item_ids.tolist()) == {100}
        assert abs(found.offsets[0] - frame(2)) <= self.tolerance
        assert index.count_items(space, where) == 1
        assert len(index.candidates(space, asked(1), 9, TrackFilter(tags=("none",)))) == 0

    def test_a_track_that_repeats_leaves_room_for_others(
        self, index: LandmarkIndex, space: str
    ) -> None:
        loop = random_landmarks(1, 4)
        index.upsert(space, [entry(1, repeated(loop, 60)), entry(2, repeated(loop, 2))])
        found = index.candidates(space, excerpt(repeated(loop, 2), 0, 4), 40, EVERYTHING)
        places = np.bincount(found.item_ids)
        assert 1 < places[1] <= PER_ITEM
        assert 1 <= places[2] <= PER_ITEM
        top = found.offsets[found.item_ids == 1]
        assert len(set(top.tolist())) == len(top)

    def test_filters(self, index: LandmarkIndex, space: str) -> None:
        shared = random_landmarks(1)
        rows = [
            entry(1, shared, kind="sound", duration_ms=1000, added_at=10),
            entry(2, shared, kind="voice", collection_id=7, tags=("a",), duration_ms=2000),
            entry(3, shared, kind="song", collection_id=8, tags=("a", "b"), duration_ms=3000),
            entry(4, shared, kind="song", collection_id=7, tags=("b", "c"), added_at=1 << 33),
        ]
        index.upsert(space, rows)
        for where, want in FILTERS:
            found = index.candidates(space, asked(1), TOP, where)
            assert set(found.item_ids.tolist()) == want, where
            assert index.count_items(space, where) == len(want), where

    def test_hostile_words_find_exactly_themselves(self, index: LandmarkIndex, space: str) -> None:
        shared = random_landmarks(1, 8)
        index.upsert(space, [entry(n, shared, tags=(t,)) for n, t in enumerate(HOSTILE_TAGS, 1)])
        query = excerpt(shared, 1, 6)
        for number, word in enumerate(HOSTILE_TAGS, 1):
            found = index.candidates(space, query, TOP, TrackFilter(tags=(word,)))
            assert set(found.item_ids.tolist()) == {number}, word

    def test_other_columns_are_outdated(self, index: LandmarkIndex) -> None:
        index.create_space("old", OTHER)
        assert not index.outdated("old", OTHER)
        assert index.outdated("old", TRACKS)
        for call in (
            lambda: index.candidates("old", asked(1), 3, EVERYTHING),
            lambda: index.count_items("old", EVERYTHING),
            lambda: index.upsert("old", [made(1)]),
        ):
            with pytest.raises(SpaceMissing, match="must be rebuilt"):
                call()
        index.rebuild("old", TRACKS, [made(1)])
        assert not index.outdated("old", TRACKS)
        assert index.count_items("old", EVERYTHING) == 1
        index.drop_space("old")

    def test_rebuild_is_seen_whole_or_not_at_all(self, index: LandmarkIndex, space: str) -> None:
        """The old and the new revision share no track; every answer is all of one of them."""
        shared = random_landmarks(1, 8)
        revisions = [[entry(base + n, shared) for n in range(12)] for base in (100, 200, 300)]
        index.upsert(space, revisions[0])
        done, answers, problems = Event(), [], []

        def ask() -> None:
            while not done.is_set():
                try:
                    found = index.candidates(space, excerpt(shared, 1, 6), TOP, EVERYTHING)
                    answers.append(set(found.item_ids.tolist()))
                except Exception as problem:  # noqa: BLE001  any error at all fails the test
                    problems.append(problem)

        askers = [Thread(target=ask) for _ in range(2)]
        for asker in askers:
            asker.start()
        for revision in revisions[1:]:
            index.rebuild(space, TRACKS, iter(revision))
        done.set()
        for asker in askers:
            asker.join()
        whole = [{each.payload.item_id for each in revision} for revision in revisions]
        assert problems == []
        assert all(answer in whole for answer in answers)
        assert set(index.item_lengths(space)) == whole[-1]
        assert space in index.spaces()

    def test_rebuild_makes_a_space(self, index: LandmarkIndex) -> None:
        index.rebuild("fresh", TRACKS, [made(1), made(2)])
        assert set(index.item_lengths("fresh")) == {1, 2}
        index.upsert("fresh", [made(3)])
        assert index.count_items("fresh", EVERYTHING) == 3
        assert not index.outgrown("fresh")
        index.rebuild("fresh", TRACKS, [])
        assert index.count_items("fresh", EVERYTHING) == 0
        index.drop_space("fresh")

    def test_size(self, index: LandmarkIndex, space: str) -> None:
        index.upsert(space, [made(n) for n in range(1, 11)])
        hours = 10 * SECONDS / 3600
        assert 0.3e6 * hours < index.size_bytes(space) < 4e6 * hours

    def test_threads_write_and_ask_at_once(self, index: LandmarkIndex, space: str) -> None:
        problems: list[BaseException] = []

        def write(first: int) -> None:
            try:
                for number in range(first, first + 10, 5):
                    index.upsert(space, [made(n + 1) for n in range(number, number + 5)])
                    assert best(index, asked(number + 1)) == number + 1
            except BaseException as problem:  # noqa: BLE001  handed to the main thread
                problems.append(problem)

        writers = [Thread(target=write, args=(first,)) for first in range(0, 30, 10)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        assert problems == []
        want = dict(zip(range(1, 31), itertools.repeat(25 * SECONDS), strict=False))
        assert index.item_lengths(space) == want


FILTERS = (
    (EVERYTHING, {1, 2, 3, 4}),
    (TrackFilter(tags=("a",)), {2, 3}),
    (TrackFilter(tags=("a", "b")), {3}),
    (TrackFilter(tags=("ab",)), set()),
    (TrackFilter(kinds=("song", "voice")), {2, 3, 4}),
    (TrackFilter(exclude_kinds=("song", "so")), {1, 2}),
    (TrackFilter(kinds=('song"] or id > 0 or kind in ["x',)), set()),
    (TrackFilter(collection_ids=(0, 8)), {1, 3}),
    (TrackFilter(min_duration_ms=2000, max_duration_ms=3000), {2, 3}),
    (TrackFilter(max_duration_ms=0), {4}),
    (TrackFilter(added_from=1 << 33, added_to=1 << 33), {4}),
    (TrackFilter(exclude_item_ids=(1, 3, 77, 1 << 90)), {2, 4}),
    (TrackFilter(collection_ids=(7, 1 << 63)), {2, 4}),
    (TrackFilter(min_duration_ms=-(1 << 63), max_duration_ms=1 << 90), {1, 2, 3, 4}),
    (TrackFilter(min_duration_ms=1 << 90), set()),
    (TrackFilter(collection_ids=(7,), kinds=("song",), tags=("c",), min_duration_ms=0), {4}),
)


def assert_peaks(found: object, number: int, landmarks: Landmarks, length: int) -> None:
    """A candidate's peaks are all of the track around it, relative to its offset."""
    offset = int(found.offsets[number])  # type: ignore[attr-defined]
    low, high = found.peak_starts[number : number + 2]  # type: ignore[attr-defined]
    reach = int(length * STRETCH) + MARGIN
    frames = landmarks.frames.astype(np.int64) - offset
    inside = (frames >= -MARGIN) & (frames < reach)
    assert found.peak_frames[low:high].tolist() == frames[inside].tolist()  # type: ignore[attr-defined]
    assert found.peak_bins[low:high].tolist() == landmarks.bins[inside].tolist()  # type: ignore[attr-defined]
    assert found.peak_ranks[low:high].tolist() == landmarks.ranks[inside].tolist()  # type: ignore[attr-defined]
