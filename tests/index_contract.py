"""What every vector index must do. Subclass, and give a fixture `index` with no spaces in it."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from threading import Event, Thread

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audiosearch.engine.analyzers.base import FloatArray
from audiosearch.engine.errors import SpaceMissing
from audiosearch.engine.indexes.base import Entry, VectorIndex
from audiosearch.engine.indexes.exact import ExactIndex
from audiosearch.engine.indexes.filters import EnrolmentFilter, TrackFilter
from audiosearch.engine.indexes.payloads import EnrolmentPayload, Layout, Payload, TrackPayload

SPACE = "contract_a-v1"
DIMENSION = 32
EVERYTHING = TrackFilter()
WINDOW_MS = 5_000
TRACKS = TrackPayload.layout
ENROLMENTS = EnrolmentPayload.layout
Where = TrackFilter | EnrolmentFilter

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


def entry(payload: Payload, embeddings: FloatArray) -> Entry:
    spans = [(n * WINDOW_MS, (n + 1) * WINDOW_MS) for n in range(len(embeddings))]
    return Entry(payload, embeddings, spans)


def track(track_id: int, embeddings: FloatArray, **fields: object) -> Entry:
    return entry(TrackPayload(track_id, **fields), embeddings)  # type: ignore[arg-type]


def enrolment(enrolment_id: int, embeddings: FloatArray, **fields: object) -> Entry:
    fields.setdefault("speaker_id", 1)
    return entry(EnrolmentPayload(enrolment_id, **fields), embeddings)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Kind:
    """What a space holds, for tests that need an item with words, and a filter by words."""

    layout: Layout
    item: Callable[..., Entry]
    having: Callable[[tuple[str, ...]], Where]


TRACK = Kind(
    TRACKS,
    lambda item_id, embeddings, words=(): track(item_id, embeddings, tags=words),
    lambda words: TrackFilter(tags=words),
)
ENROLMENT = Kind(
    ENROLMENTS,
    lambda item_id, embeddings, words=(): enrolment(item_id, embeddings, groups=words),
    lambda words: EnrolmentFilter(groups=words),
)


def clustered(n_tracks: int, rng: np.random.Generator) -> list[Entry]:
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
        """An empty space of tracks; emptied, not dropped: a server takes seconds to make one."""
        yield from self.emptied(index, SPACE, TRACKS)

    @pytest.fixture
    def voices(self, index: VectorIndex) -> Iterator[str]:
        """The same of enrolments."""
        yield from self.emptied(index, f"{SPACE}-voices", ENROLMENTS)

    def emptied(self, index: VectorIndex, space: str, layout: Layout) -> Iterator[str]:
        index.create_space(space, DIMENSION, layout)
        yield space
        index.delete_items(space, list(index.window_counts(space)))

    @pytest.fixture(params=[TRACK, ENROLMENT], ids=["tracks", "enrolments"])
    def kind(self, request: pytest.FixtureRequest) -> Kind:
        return request.param

    @pytest.fixture
    def of_kind(self, request: pytest.FixtureRequest, kind: Kind) -> str:
        """An empty space of the kind."""
        return str(request.getfixturevalue("space" if kind is TRACK else "voices"))

    def test_spaces_come_and_go(self, index: VectorIndex) -> None:
        names = ["a-v1", "a_b-v1"]
        before = set(index.spaces())
        for name in names:
            index.create_space(name, 4, TRACKS)
            index.create_space(name, 4, TRACKS)
        assert set(index.spaces()) - before == set(names)
        for name in (*names, "never_r1"):
            index.drop_space(name)
        assert set(index.spaces()) == before

    def test_unknown_space(self, index: VectorIndex, rng: np.random.Generator) -> None:
        vector = random_unit(rng, 1)
        for call in (
            lambda: index.search("nowhere", vector, 3, EVERYTHING),
            lambda: index.upsert("nowhere", [track(1, vector)]),
            lambda: index.delete_items("nowhere", [1]),
            lambda: index.count_items("nowhere", EVERYTHING),
            lambda: index.window_counts("nowhere"),
            lambda: index.size_bytes("nowhere"),
        ):
            with pytest.raises(SpaceMissing):
                call()
        index.drop_space("nowhere")

    def test_empty_space(
        self, index: VectorIndex, kind: Kind, of_kind: str, rng: np.random.Generator
    ) -> None:
        assert index.search(of_kind, random_unit(rng, 2), 10, kind.having(())) == []
        assert index.count_items(of_kind, kind.having(())) == 0
        assert index.window_counts(of_kind) == {}
        assert index.size_bytes(of_kind) == 0
        index.delete_items(of_kind, [1])
        index.upsert(of_kind, [])
        index.ping()

    def test_write_replace_delete(
        self, index: VectorIndex, kind: Kind, of_kind: str, rng: np.random.Generator
    ) -> None:
        first, second = random_unit(rng, 2)
        everything, old, new = kind.having(()), kind.having(("old",)), kind.having(("new",))
        index.upsert(of_kind, [kind.item(1, first[None], ("old",))])
        index.upsert(of_kind, [kind.item(2, np.stack([second, -second]), ("old",))])
        (hit, *_) = index.search(of_kind, second[None], 1, everything)
        assert (hit.item_id, hit.start_ms, hit.end_ms) == (2, 0, WINDOW_MS)
        assert hit.distance == pytest.approx(0, abs=1e-5)
        index.upsert(of_kind, [kind.item(1, second[None], ("new",))])
        assert [m.item_id for m in index.search(of_kind, first[None], 2, old)] == [2]
        assert [m.item_id for m in index.search(of_kind, second[None], 2, new)] == [1]
        assert index.window_counts(of_kind) == {1: 1, 2: 2}
        index.delete_items(of_kind, [2, 99])
        assert [m.item_id for m in index.search(of_kind, second[None], 9, everything)] == [1]
        assert index.window_counts(of_kind) == {1: 1}
        assert index.count_items(of_kind, everything) == 1

    def test_items_are_counted_wherever_their_windows_begin(
        self, index: VectorIndex, kind: Kind, of_kind: str, rng: np.random.Generator
    ) -> None:
        vectors = random_unit(rng, 3)
        payloads = [kind.item(n, vectors, ("word",)).payload for n in (1, 2)]
        late = [(7_000, 8_000), (8_000, 9_000), (9_000, 10_000)]
        index.upsert(of_kind, [Entry(payloads[0], vectors[:1], late[:1])])
        index.upsert(of_kind, [Entry(payloads[1], vectors, late)])
        assert index.count_items(of_kind, kind.having(())) == 2
        assert index.count_items(of_kind, kind.having(("word",))) == 2
        assert index.count_items(of_kind, kind.having(("other",))) == 0

    def test_a_space_with_other_columns_is_outdated(
        self, index: VectorIndex, rng: np.random.Generator
    ) -> None:
        """As the voices of version 0.1.0 are, which were kept as tracks."""
        vector = random_unit(rng, 1)
        assert not index.outdated("old", ENROLMENTS)
        index.create_space("old", DIMENSION, TRACKS)
        index.upsert("old", [track(1, vector)])
        assert not index.outdated("old", TRACKS)
        assert index.outdated("old", ENROLMENTS)
        for call in (
            lambda: index.search("old", vector, 3, EnrolmentFilter()),
            lambda: index.search("old", vector, 3, EnrolmentFilter(consent_at=1)),
            lambda: index.count_items("old", EnrolmentFilter()),
            lambda: index.upsert("old", [enrolment(1, vector)]),
        ):
            with pytest.raises(SpaceMissing, match="must be rebuilt"):
                call()
        index.rebuild("old", DIMENSION, ENROLMENTS, [enrolment(2, vector)])
        index.upsert("old", [enrolment(3, vector)])
        assert not index.outdated("old", ENROLMENTS)
        assert index.count_items("old", EnrolmentFilter()) == 2
        with pytest.raises(SpaceMissing, match="must be rebuilt"):
            index.search("old", vector, 3, EVERYTHING)
        index.drop_space("old")

    def test_size_is_about_that_of_vectors_and_payloads(
        self, index: VectorIndex, kind: Kind, of_kind: str, rng: np.random.Generator
    ) -> None:
        index.upsert(of_kind, [kind.item(n, random_unit(rng, 3)) for n in range(1, 11)])
        vectors = 30 * DIMENSION * 4
        assert vectors < index.size_bytes(of_kind) < 3 * vectors

    def test_distance_and_moment(
        self, index: VectorIndex, space: str, rng: np.random.Generator
    ) -> None:
        query, other = random_unit(rng, 2)
        across = unit(other - (other @ query) * query)
        index.upsert(space, [track(1, np.stack([across, query])), track(2, -query[None])])
        found = index.search(space, query[None], 5, EVERYTHING)
        assert [(m.item_id, m.start_ms) for m in found] == [(1, WINDOW_MS), (2, 0)]
        assert [m.distance for m in found] == pytest.approx([0, 2], abs=1e-5)
        assert all(0 <= m.distance <= 2 for m in found)

    def test_recall_against_the_exact_twin(
        self, index: VectorIndex, space: str, rng: np.random.Generator
    ) -> None:
        exact = ExactIndex()
        exact.create_space(space, DIMENSION, TRACKS)
        tracks = clustered(700, rng)
        index.upsert(space, tracks)
        exact.upsert(space, tracks)
        assert index.window_counts(space) == exact.window_counts(space)
        for where in (EVERYTHING, TrackFilter(collection_ids=(1,))):
            found = 0
            for number in range(20):
                queries = near(tracks[number].embeddings[0], 1 + number % 3, 0.05, rng)
                want = {m.item_id for m in exact.search(space, queries, 10, where)}
                have = index.search(space, queries, 10, where)
                assert len(have) == 10
                found += len(want & {m.item_id for m in have})
            assert found / 200 >= 0.98

    def test_hundred_results(
        self, index: VectorIndex, space: str, rng: np.random.Generator
    ) -> None:
        index.upsert(space, clustered(150, rng))
        found = index.search(space, random_unit(rng, 1), 100, EVERYTHING)
        assert len({m.item_id for m in found}) == len(found) == 100
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
        exact.create_space(space, DIMENSION, TRACKS)
        exact.upsert(space, crowd + others)
        want = [m.item_id for m in exact.search(space, query, 10, EVERYTHING)]
        assert [m.item_id for m in index.search(space, query, 10, EVERYTHING)] == want
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
            each.create_space("long", DIMENSION, TRACKS)
            each.upsert("long", tracks)
        for number in range(4):
            where, query = (
                TrackFilter(exclude_item_ids=(number + 1,)),
                tracks[number].embeddings[:1],
            )
            have, want = (i.search("long", query, 10, where) for i in (index, exact))
            assert [m.item_id for m in have] == [m.item_id for m in want]
        index.drop_space("long")

    def test_nearest_windows_of_each_query_vector(
        self, index: VectorIndex, space: str, rng: np.random.Generator
    ) -> None:
        exact = ExactIndex()
        exact.create_space(space, DIMENSION, TRACKS)
        tracks = clustered(120, rng)
        index.upsert(space, tracks)
        exact.upsert(space, tracks)
        queries = random_unit(rng, 9)
        for where in (EVERYTHING, TrackFilter(collection_ids=(1,), exclude_item_ids=(4, 7))):
            have, want = (i.nearest_windows(space, queries, 15, where) for i in (index, exact))
            assert have.queries.tolist() == np.repeat(np.arange(9), 15).tolist()
            assert have.similarities == pytest.approx(want.similarities, abs=1e-5)
            for names in ("item_ids", "starts_ms"):
                assert (getattr(have, names) == getattr(want, names)).mean() >= 0.98

    def test_nearest_windows_are_all_there_are(
        self, index: VectorIndex, space: str, rng: np.random.Generator
    ) -> None:
        index.upsert(space, [track(1, random_unit(rng, 3)), track(2, random_unit(rng, 2))])
        found = index.nearest_windows(space, random_unit(rng, 2), 16_384, EVERYTHING)
        of_each = [(1, 0), (1, WINDOW_MS), (1, 2 * WINDOW_MS), (2, 0), (2, WINDOW_MS)]
        windows = zip(found.item_ids.tolist(), found.starts_ms.tolist(), strict=True)
        assert sorted(windows) == sorted(2 * of_each)
        assert found.queries.tolist() == [0] * 5 + [1] * 5
        nowhere = TrackFilter(kinds=("elsewhere",))
        assert len(index.nearest_windows(space, random_unit(rng, 2), 5, nowhere)) == 0
        assert len(index.nearest_windows(space, random_unit(rng, 0), 5, EVERYTHING)) == 0
        with pytest.raises(SpaceMissing):
            index.nearest_windows("nowhere", random_unit(rng, 1), 5, EVERYTHING)

    def test_item_ids(self, index: VectorIndex, space: str, rng: np.random.Generator) -> None:
        assert index.item_ids(space, EVERYTHING, 10) == []
        index.upsert(space, clustered(90, rng))
        assert sorted(index.item_ids(space, EVERYTHING, 1_000)) == list(range(1, 91))
        some = index.item_ids(space, EVERYTHING, 20)
        assert len(set(some)) == len(some) == 20
        where = TrackFilter(collection_ids=(2,), exclude_item_ids=(2, 5))
        assert sorted(index.item_ids(space, where, 1_000)) == list(range(8, 91, 3))
        assert index.item_ids(space, where, 0) == []
        with pytest.raises(SpaceMissing):
            index.item_ids("nowhere", EVERYTHING, 10)

    def test_several_query_windows_merge_by_the_smallest_distance(
        self, index: VectorIndex, space: str, rng: np.random.Generator
    ) -> None:
        exact = ExactIndex()
        exact.create_space(space, DIMENSION, TRACKS)
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
        assert [m.item_id for m in have] == [m.item_id for m in want]
        assert [m.distance for m in have] == pytest.approx([m.distance for m in want], abs=1e-5)
        assert {m.item_id: m.query_window for m in have[:2]} == {5: 0, 10: 1}

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
            (TrackFilter(tags=("a",)), {2, 3}),
            (TrackFilter(tags=("a", "b")), {3}),
            (TrackFilter(tags=("ab",)), set()),
            (TrackFilter(kinds=("song", "voice")), {2, 3, 4}),
            (TrackFilter(exclude_kinds=("song", "so")), {1, 2}),
            (TrackFilter(kinds=("sound",), exclude_kinds=("song",)), {1}),
            (TrackFilter(exclude_kinds=('song"] or id > 0 or kind in ["x',)), {1, 2, 3, 4}),
            (TrackFilter(kinds=('song"] or id > 0 or kind in ["x',)), set()),
            (TrackFilter(collection_ids=(0, 8)), {1, 3}),
            (TrackFilter(min_duration_ms=2000, max_duration_ms=3000), {2, 3}),
            (TrackFilter(min_duration_ms=2001), {3}),
            (TrackFilter(max_duration_ms=0), {4}),
            (TrackFilter(added_from=10), {1, 4}),
            (TrackFilter(added_to=10), {1, 2, 3}),
            (TrackFilter(added_from=1 << 33, added_to=1 << 33), {4}),
            (TrackFilter(added_from=-5, added_to=-1), set()),
            (TrackFilter(exclude_item_ids=(1, 3, 77)), {2, 4}),
            (TrackFilter(exclude_item_ids=(1, 1 << 90)), {2, 3, 4}),
            (TrackFilter(collection_ids=(7, 1 << 63)), {2, 4}),
            (TrackFilter(collection_ids=(1 << 63,)), set()),
            (TrackFilter(min_duration_ms=-(1 << 63), max_duration_ms=1 << 90), {1, 2, 3, 4}),
            (TrackFilter(min_duration_ms=1 << 90), set()),
            (
                TrackFilter(collection_ids=(7,), kinds=("song",), tags=("c",), min_duration_ms=0),
                {4},
            ),
        ):
            assert {m.item_id for m in index.search(space, vector, 10, where)} == want, where
            assert index.count_items(space, where) == len(want), where

    def test_filters_of_enrolments(
        self, index: VectorIndex, voices: str, rng: np.random.Generator
    ) -> None:
        vector = random_unit(rng, 1)
        rows = [
            enrolment(1, vector, speaker_id=7, collection_id=4),
            enrolment(2, vector, speaker_id=7, groups=("staff",), consent_until=1 << 40),
            enrolment(3, vector, speaker_id=8, groups=("staff", "choir"), consent_until=100),
        ]
        index.upsert(voices, rows)
        for where, want in (
            (EnrolmentFilter(), {1, 2, 3}),
            (EnrolmentFilter(groups=("staff",)), {2, 3}),
            (EnrolmentFilter(groups=("choir", "staff")), {3}),
            (EnrolmentFilter(groups=("staff",), exclude_item_ids=(3,)), {2}),
            (EnrolmentFilter(consent_at=0), {1, 2, 3}),
            (EnrolmentFilter(consent_at=100), {2, 3}),
            (EnrolmentFilter(consent_at=101), {2}),
            (EnrolmentFilter(consent_at=1 << 90), set()),
            (EnrolmentFilter(speaker_ids=(7,)), {1, 2}),
            (EnrolmentFilter(speaker_ids=(8, 7, 1 << 90)), {1, 2, 3}),
            (EnrolmentFilter(speaker_ids=(9,)), set()),
            (EnrolmentFilter(speaker_ids=(7,), consent_at=1), {2}),
            (EnrolmentFilter(exclude_item_ids=(1, 2, 77)), {3}),
            (EnrolmentFilter(exclude_collection_ids=(4, 9)), {2, 3}),
        ):
            found = {m.item_id for m in index.search(voices, vector, 10, where)}
            assert found == want, where
            assert index.count_items(voices, where) == len(want), where

    def test_hostile_words_find_exactly_themselves(
        self, index: VectorIndex, kind: Kind, of_kind: str, rng: np.random.Generator
    ) -> None:
        vector = random_unit(rng, 1)
        index.upsert(of_kind, [kind.item(n, vector, (t,)) for n, t in enumerate(HOSTILE_TAGS, 1)])
        for number, word in enumerate(HOSTILE_TAGS, 1):
            found = index.search(of_kind, vector, 100, kind.having((word,)))
            assert [m.item_id for m in found] == [number], word

    def test_most_and_longest_words(
        self, index: VectorIndex, kind: Kind, of_kind: str, rng: np.random.Generator
    ) -> None:
        vector = random_unit(rng, 1)
        words = tuple(chr(0x1F300 + n) * 100 for n in range(64))
        index.upsert(of_kind, [kind.item(1, vector, words), kind.item(2, vector)])
        found = index.search(of_kind, vector, 9, kind.having(words))
        assert [m.item_id for m in found] == [1]

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
            found = index.search(space, vector, 9, TrackFilter(tags=(tag,)))
            assert [m.item_id for m in found] == [number]

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
                    answers.append({m.item_id for m in index.search(space, vector, 50, EVERYTHING)})
                except Exception as problem:  # noqa: BLE001  any error at all fails the test
                    problems.append(problem)

        searchers = [Thread(target=search) for _ in range(2)]
        for searcher in searchers:
            searcher.start()
        for revision in revisions[1:]:
            index.rebuild(space, DIMENSION, TRACKS, iter(revision))
        done.set()
        for searcher in searchers:
            searcher.join()
        whole = [{t.payload.item_id for t in revision} for revision in revisions]
        assert problems == []
        assert all(answer in whole for answer in answers)
        assert {m.item_id for m in index.search(space, vector, 50, EVERYTHING)} == whole[-1]
        assert space in index.spaces()

    def test_rebuild_makes_a_space_and_changes_its_dimension(
        self, index: VectorIndex, rng: np.random.Generator
    ) -> None:
        for dimension in (8, 12):
            vectors = random_unit(rng, 3, dimension)
            tracks = [track(1, vectors), track(2, vectors[:1])]
            index.rebuild("fresh", dimension, TRACKS, tracks)
            assert index.window_counts("fresh") == {1: 3, 2: 1}
            index.upsert("fresh", [track(3, vectors[2:])])
            assert len(index.search("fresh", vectors, 9, EVERYTHING)) == 3
        index.rebuild("fresh", 8, TRACKS, [])
        assert index.count_items("fresh", EVERYTHING) == 0
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
                    assert found[0].item_id == number + 1
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
