"""What every vector index must do. Subclass, and give a fixture `index` with no spaces in it."""

import itertools
from collections.abc import Iterator
from threading import Event, Thread

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audiosearch.engine.analyzers.base import FloatArray
from audiosearch.engine.errors import SpaceMissing
from audiosearch.engine.indexes.base import Filter, TrackFields, TrackWindows, VectorIndex
from audiosearch.engine.indexes.exact import ExactIndex

SPACE = "contract_a-v1"
DIMENSION = 32
EVERYTHING = Filter()
WINDOW_MS = 5_000

HOSTILE_TAGS = (
    "rain", "Rain", "heavy rain", 'say "hi"', "it's", "back\\slash", "\\", '\\"', '"] or 1==1',
    '" or track_id >= 0 or kind == "', "100%", "%", "_", "{ids}", "{", "a\nb", "a\tb", "\x00",
    "\x7f", "na\u00efve", "nai\u0308ve", "雨音", "🌧️", "٣", "null", "true", "[1, 2]",
    "tags", "a,b", "a" * 100, "🌧" * 100, "\u202e", "\ud800",
)  # fmt: skip


def unit(vectors: FloatArray) -> FloatArray:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True), dtype=np.float32)


def random_unit(rng: np.random.Generator, n: int, dimension: int = DIMENSION) -> FloatArray:
    return unit(rng.standard_normal((n, dimension)))


def track(track_id: int, embeddings: FloatArray, **fields: object) -> TrackWindows:
    spans = [(n * WINDOW_MS, (n + 1) * WINDOW_MS) for n in range(len(embeddings))]
    return TrackWindows(TrackFields(track_id, **fields), embeddings, spans)  # type: ignore[arg-type]


def clustered(n_tracks: int, rng: np.random.Generator) -> list[TrackWindows]:
    """Tracks of one to eight windows around 20 centres, as recordings of a few kinds would lie."""
    centres = random_unit(rng, 20)
    tracks = []
    for track_id in range(1, n_tracks + 1):
        centre = centres[rng.integers(20)] + 0.15 * rng.standard_normal(DIMENSION)
        windows = centre + 0.08 * rng.standard_normal((rng.integers(1, 9), DIMENSION))
        tracks.append(track(track_id, unit(windows), collection_id=track_id % 3))
    return tracks


def near(query: FloatArray, n: int, spread: float, rng: np.random.Generator) -> FloatArray:
    return unit(query + spread * rng.standard_normal((n, DIMENSION)))


class IndexContract:
    @pytest.fixture
    def rng(self) -> np.random.Generator:
        return np.random.default_rng(7)

    @pytest.fixture
    def space(self, index: VectorIndex) -> Iterator[str]:
        """An empty space; emptied rather than dropped, since a server takes seconds to make one."""
        index.create_space(SPACE, DIMENSION)
        yield SPACE
        index.delete_tracks(SPACE, list(index.window_counts(SPACE)))

    def test_spaces_come_and_go(self, index: VectorIndex) -> None:
        names = ["a-v1", "a_b-v1"]
        before = set(index.spaces())
        for name in names:
            index.create_space(name, 4)
            index.create_space(name, 4)
        assert set(index.spaces()) - before == set(names)
        for name in (*names, "never_r1"):
            index.drop_space(name)
        assert set(index.spaces()) == before

    def test_unknown_space(self, index: VectorIndex, rng: np.random.Generator) -> None:
        vector = random_unit(rng, 1)
        for call in (
            lambda: index.search("nowhere", vector, 3, EVERYTHING),
            lambda: index.upsert("nowhere", [track(1, vector)]),
            lambda: index.delete_tracks("nowhere", [1]),
            lambda: index.count_tracks("nowhere", EVERYTHING),
            lambda: index.window_counts("nowhere"),
        ):
            with pytest.raises(SpaceMissing):
                call()
        index.drop_space("nowhere")

    def test_empty_space(self, index: VectorIndex, space: str, rng: np.random.Generator) -> None:
        assert index.search(space, random_unit(rng, 2), 10, EVERYTHING) == []
        assert index.count_tracks(space, EVERYTHING) == 0
        assert index.window_counts(space) == {}
        index.delete_tracks(space, [1])
        index.upsert(space, [])
        index.ping()

    def test_write_replace_delete(
        self, index: VectorIndex, space: str, rng: np.random.Generator
    ) -> None:
        first, second = random_unit(rng, 2)
        index.upsert(space, [track(1, first[None]), track(2, np.stack([second, -second]))])
        (hit, *_) = index.search(space, second[None], 1, EVERYTHING)
        assert (hit.track_id, hit.start_ms, hit.end_ms) == (2, 0, WINDOW_MS)
        assert hit.distance == pytest.approx(0, abs=1e-5)
        index.upsert(space, [track(1, second[None], kind="voice", tags=("new",))])
        assert index.search(space, first[None], 2, Filter(kinds=("sound",)))[0].track_id == 2
        assert index.search(space, second[None], 2, Filter(tags=("new",)))[0].track_id == 1
        assert index.window_counts(space) == {1: 1, 2: 2}
        index.delete_tracks(space, [2, 99])
        assert [m.track_id for m in index.search(space, second[None], 9, EVERYTHING)] == [1]
        assert index.window_counts(space) == {1: 1}
        assert index.count_tracks(space, EVERYTHING) == 1

    def test_distance_and_moment(
        self, index: VectorIndex, space: str, rng: np.random.Generator
    ) -> None:
        query, other = random_unit(rng, 2)
        across = unit(other - (other @ query) * query)
        index.upsert(space, [track(1, np.stack([across, query])), track(2, -query[None])])
        found = index.search(space, query[None], 5, EVERYTHING)
        assert [(m.track_id, m.start_ms) for m in found] == [(1, WINDOW_MS), (2, 0)]
        assert [m.distance for m in found] == pytest.approx([0, 2], abs=1e-5)
        assert all(0 <= m.distance <= 2 for m in found)

    def test_recall_against_the_exact_twin(
        self, index: VectorIndex, space: str, rng: np.random.Generator
    ) -> None:
        exact = ExactIndex()
        exact.create_space(space, DIMENSION)
        tracks = clustered(700, rng)
        index.upsert(space, tracks)
        exact.upsert(space, tracks)
        assert index.window_counts(space) == exact.window_counts(space)
        for where in (EVERYTHING, Filter(collection_ids=(1,))):
            found = 0
            for number in range(20):
                queries = near(tracks[number].embeddings[0], 1 + number % 3, 0.05, rng)
                want = {m.track_id for m in exact.search(space, queries, 10, where)}
                have = index.search(space, queries, 10, where)
                assert len(have) == 10
                found += len(want & {m.track_id for m in have})
            assert found / 200 >= 0.98

    def test_hundred_results(
        self, index: VectorIndex, space: str, rng: np.random.Generator
    ) -> None:
        index.upsert(space, clustered(150, rng))
        found = index.search(space, random_unit(rng, 1), 100, EVERYTHING)
        assert len({m.track_id for m in found}) == len(found) == 100
        assert [m.distance for m in found] == sorted(m.distance for m in found)
        assert len(index.search(space, random_unit(rng, 1), 1000, EVERYTHING)) == 150

    def test_long_recordings_do_not_crowd_others_out(
        self, index: VectorIndex, space: str, rng: np.random.Generator
    ) -> None:
        query = random_unit(rng, 1)
        crowd = [track(n, near(query, 720, 0.02, rng)) for n in (1, 2, 3)]
        others = [track(n, near(query, 1, 0.3, rng)) for n in range(10, 40)]
        index.upsert(space, crowd + others)
        exact = ExactIndex()
        exact.create_space(space, DIMENSION)
        exact.upsert(space, crowd + others)
        want = [m.track_id for m in exact.search(space, query, 10, EVERYTHING)]
        assert [m.track_id for m in index.search(space, query, 10, EVERYTHING)] == want
        assert len(index.search(space, query, 100, EVERYTHING)) == 33

    def test_like_a_long_recording_among_long_recordings(
        self, index: VectorIndex, rng: np.random.Generator
    ) -> None:
        """A graph index fails here: all that lies near the query is what the filter leaves out.

        In a space of its own, since Lite goes on reading rows that were deleted.
        """
        tracks = [track(n, near(random_unit(rng, 1), 720, 0.02, rng)) for n in range(1, 31)]
        exact = ExactIndex()
        for each in (index, exact):
            each.create_space("long", DIMENSION)
            each.upsert("long", tracks)
        for number in range(4):
            where, query = Filter(exclude_track_ids=(number + 1,)), tracks[number].embeddings[:1]
            have, want = (i.search("long", query, 10, where) for i in (index, exact))
            assert [m.track_id for m in have] == [m.track_id for m in want]
        index.drop_space("long")

    def test_several_query_windows_merge_by_the_smallest_distance(
        self, index: VectorIndex, space: str, rng: np.random.Generator
    ) -> None:
        exact = ExactIndex()
        exact.create_space(space, DIMENSION)
        tracks = clustered(60, rng)
        index.upsert(space, tracks)
        exact.upsert(space, tracks)
        queries = np.concatenate(
            [
                near(tracks[4].embeddings[0], 1, 0.01, rng),
                near(tracks[9].embeddings[0], 1, 0.02, rng),
            ]
        )
        have, want = (i.search(space, queries, 20, EVERYTHING) for i in (index, exact))
        assert [m.track_id for m in have] == [m.track_id for m in want]
        assert [m.distance for m in have] == pytest.approx([m.distance for m in want], abs=1e-5)
        assert {m.track_id: m.query_window for m in have[:2]} == {5: 0, 10: 1}

    def test_filters(self, index: VectorIndex, space: str, rng: np.random.Generator) -> None:
        vector = random_unit(rng, 1)
        rows = [
            track(1, vector, kind="sound", collection_id=0, tags=(), duration_ms=1000, added_at=10),
            track(2, vector, kind="voice", collection_id=7, tags=("a",), duration_ms=2000),
            track(3, vector, kind="song", collection_id=8, tags=("a", "b"), duration_ms=3000),
            track(4, vector, kind="song", collection_id=7, tags=("b", "c"), added_at=1 << 33),
        ]
        index.upsert(space, rows)
        for where, want in (
            (EVERYTHING, {1, 2, 3, 4}),
            (Filter(tags=("a",)), {2, 3}),
            (Filter(tags=("a", "b")), {3}),
            (Filter(tags=("ab",)), set()),
            (Filter(kinds=("song", "voice")), {2, 3, 4}),
            (Filter(kinds=('song"] or id > 0 or kind in ["x',)), set()),
            (Filter(collection_ids=(0, 8)), {1, 3}),
            (Filter(min_duration_ms=2000, max_duration_ms=3000), {2, 3}),
            (Filter(min_duration_ms=2001), {3}),
            (Filter(max_duration_ms=0), {4}),
            (Filter(added_from=10), {1, 4}),
            (Filter(added_to=10), {1, 2, 3}),
            (Filter(added_from=1 << 33, added_to=1 << 33), {4}),
            (Filter(added_from=-5, added_to=-1), set()),
            (Filter(exclude_track_ids=(1, 3, 77)), {2, 4}),
            (Filter(exclude_track_ids=(1, 1 << 90)), {2, 3, 4}),
            (Filter(collection_ids=(7, 1 << 63)), {2, 4}),
            (Filter(collection_ids=(1 << 63,)), set()),
            (Filter(min_duration_ms=-(1 << 63), max_duration_ms=1 << 90), {1, 2, 3, 4}),
            (Filter(min_duration_ms=1 << 90), set()),
            (Filter(collection_ids=(7,), kinds=("song",), tags=("c",), min_duration_ms=0), {4}),
        ):
            assert {m.track_id for m in index.search(space, vector, 10, where)} == want, where
            assert index.count_tracks(space, where) == len(want), where

    def test_hostile_tags_find_exactly_themselves(
        self, index: VectorIndex, space: str, rng: np.random.Generator
    ) -> None:
        vector = random_unit(rng, 1)
        index.upsert(space, [track(n, vector, tags=(t,)) for n, t in enumerate(HOSTILE_TAGS, 1)])
        for number, tag in enumerate(HOSTILE_TAGS, 1):
            found = index.search(space, vector, 100, Filter(tags=(tag,)))
            assert [m.track_id for m in found] == [number], tag

    def test_most_and_longest_tags(
        self, index: VectorIndex, space: str, rng: np.random.Generator
    ) -> None:
        vector = random_unit(rng, 1)
        tags = tuple(chr(0x1F300 + n) * 100 for n in range(64))
        index.upsert(space, [track(1, vector, tags=tags), track(2, vector)])
        assert [m.track_id for m in index.search(space, vector, 9, Filter(tags=tags))] == [1]

    @settings(
        max_examples=25,
        deadline=None,
        suppress_health_check=[
            HealthCheck.function_scoped_fixture,
            HealthCheck.differing_executors,  # Lite and the server, by inheritance
        ],
    )
    @given(tags=st.lists(st.text(min_size=1, max_size=100), min_size=8, max_size=8, unique=True))
    def test_any_text_is_found_by_exactly_itself(
        self, index: VectorIndex, space: str, tags: list[str]
    ) -> None:
        vector = unit(np.ones((1, DIMENSION), dtype=np.float32))
        index.upsert(space, [track(n, vector, tags=(tag,)) for n, tag in enumerate(tags, 1)])
        for number, tag in enumerate(tags, 1):
            found = index.search(space, vector, 9, Filter(tags=(tag,)))
            assert [m.track_id for m in found] == [number]

    def test_rebuild_is_seen_whole_or_not_at_all(
        self, index: VectorIndex, space: str, rng: np.random.Generator
    ) -> None:
        """The old and the new revision share no track; every answer is all of one of them."""
        vector = random_unit(rng, 1)
        revisions = [[track(base + n, vector) for n in range(30)] for base in (100, 200, 300)]
        index.upsert(space, revisions[0])
        done, answers, problems = Event(), [], []

        def search() -> None:
            while not done.is_set():
                try:
                    answers.append(
                        {m.track_id for m in index.search(space, vector, 50, EVERYTHING)}
                    )
                except Exception as problem:  # noqa: BLE001  any error at all fails the test
                    problems.append(problem)

        searchers = [Thread(target=search) for _ in range(2)]
        for searcher in searchers:
            searcher.start()
        for revision in revisions[1:]:
            index.rebuild(space, DIMENSION, iter(revision))
        done.set()
        for searcher in searchers:
            searcher.join()
        whole = [{t.fields.track_id for t in revision} for revision in revisions]
        assert problems == []
        assert all(answer in whole for answer in answers)
        assert {m.track_id for m in index.search(space, vector, 50, EVERYTHING)} == whole[-1]
        assert space in index.spaces()

    def test_rebuild_makes_a_space_and_changes_its_dimension(
        self, index: VectorIndex, rng: np.random.Generator
    ) -> None:
        for dimension in (8, 12):
            vectors = random_unit(rng, 3, dimension)
            index.rebuild("fresh", dimension, [track(1, vectors), track(2, vectors[:1])])
            assert index.window_counts("fresh") == {1: 3, 2: 1}
            index.upsert("fresh", [track(3, vectors[2:])])
            assert len(index.search("fresh", vectors, 9, EVERYTHING)) == 3
        index.rebuild("fresh", 8, [])
        assert index.count_tracks("fresh", EVERYTHING) == 0
        index.drop_space("fresh")

    def test_threads_write_and_search_at_once(
        self, index: VectorIndex, space: str, rng: np.random.Generator
    ) -> None:
        vectors = random_unit(rng, 200)
        problems: list[BaseException] = []

        def write(first: int) -> None:
            try:
                for number in range(first, first + 50, 10):
                    index.upsert(
                        space, [track(n + 1, vectors[n][None]) for n in range(number, number + 10)]
                    )
                    found = index.search(space, vectors[number][None], 1, EVERYTHING)
                    assert found[0].track_id == number + 1
            except BaseException as problem:  # noqa: BLE001  handed to the main thread
                problems.append(problem)

        writers = [Thread(target=write, args=(first,)) for first in range(0, 200, 50)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        assert problems == []
        assert index.window_counts(space) == dict(
            zip(range(1, 201), itertools.repeat(1), strict=False)
        )
