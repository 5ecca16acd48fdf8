"""The contract against the twin and the segments, and what only the segments do: merge and heal."""

import sqlite3
from pathlib import Path
from threading import Event, Thread

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiosearch.engine.errors import IndexUnavailable, SpaceMissing
from audiosearch.engine.indexes import (
    landmarks_files,
    landmarks_merging,
    landmarks_pieces,
    landmarks_writing,
)
from audiosearch.engine.indexes.filters import TrackFilter
from audiosearch.engine.indexes.landmarks_base import Candidates, LandmarkIndex
from audiosearch.engine.indexes.landmarks_columns import Columns, Row, payload_text
from audiosearch.engine.indexes.landmarks_exact import ExactLandmarkIndex
from audiosearch.engine.indexes.landmarks_ledger import SegmentRow
from audiosearch.engine.indexes.landmarks_merging import DEAD_SHARE, GROWTH, due
from audiosearch.engine.indexes.landmarks_segments import SegmentIndex
from audiosearch.engine.indexes.landmarks_voting import bins_and_ranks
from audiosearch.engine.indexes.payloads import TrackPayload
from tests.landmark_index_contract import (
    EVERYTHING,
    SPACE,
    TOP,
    TRACKS,
    LandmarkIndexContract,
    asked,
    best,
    entry,
    made,
    random_landmarks,
)


class TestExactLandmarkIndex(LandmarkIndexContract):
    @pytest.fixture
    def index(self) -> ExactLandmarkIndex:
        return ExactLandmarkIndex()


class TestSegmentIndex(LandmarkIndexContract):
    @pytest.fixture
    def index(self, tmp_path: Path) -> SegmentIndex:
        return SegmentIndex(tmp_path / "landmarks")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "landmarks"


@pytest.fixture
def index(root: Path) -> SegmentIndex:
    held = SegmentIndex(root)
    held.create_space(SPACE, TRACKS)
    return held


def segments(root: Path) -> list[Path]:
    return sorted((root / "landmarks_x2dv1" / "segments").iterdir())


def found_everywhere(index: LandmarkIndex, items: range) -> list[Candidates]:
    return [index.candidates(SPACE, asked(item), TOP, EVERYTHING) for item in items]


def assert_same(one: Candidates, other: Candidates) -> None:
    """The same places with the same votes and peaks; those with equal votes in any order."""

    def spelled(found: Candidates) -> list[object]:
        rows = []
        for n in range(len(found)):
            low, high = found.peak_starts[n : n + 2]
            peaks = zip(found.peak_frames[low:high], found.peak_bins[low:high], strict=True)
            row = (-found.votes[n], found.item_ids[n], found.offsets[n], tuple(peaks))
            rows.append(row)
        return sorted(r for r in rows if -r[0] > found.votes[-1])  # the last ones are a lottery

    assert spelled(one) == spelled(other)


def test_many_segments_answer_as_one(index: SegmentIndex, root: Path) -> None:
    twin = ExactLandmarkIndex()
    twin.create_space(SPACE, TRACKS)
    for first in (1, 5, 6):
        for each in (index, twin):
            each.upsert(SPACE, [made(n) for n in range(first, 25, 3)])
    assert len(segments(root)) == 3
    for one, other in zip(
        found_everywhere(index, range(1, 25)), found_everywhere(twin, range(1, 25)), strict=True
    ):
        assert_same(one, other)


def test_small_segments_are_merged_in_passing(index: SegmentIndex, root: Path) -> None:
    for item in range(1, 31):
        index.upsert(SPACE, [made(item)])
        assert len(segments(root)) < landmarks_merging.MANY
    assert [best(index, asked(item)) for item in range(1, 31)] == list(range(1, 31))


@pytest.mark.parametrize("table_from", [1, 10**9], ids=["table", "list"])
def test_merging_changes_no_answer(
    index: SegmentIndex, root: Path, monkeypatch: pytest.MonkeyPatch, table_from: int
) -> None:
    monkeypatch.setattr(landmarks_files, "TABLE_FROM", table_from)
    monkeypatch.setattr(landmarks_merging, "SMALL", 0)
    for item in range(1, 15):
        index.upsert(SPACE, [made(item, tags=(f"t{item}",))])
    before = found_everywhere(index, range(1, 15))
    assert index.outgrown(SPACE)
    index.merge(SPACE)
    assert not index.outgrown(SPACE)
    assert len(segments(root)) == 1
    for one, other in zip(before, found_everywhere(index, range(1, 15)), strict=True):
        assert_same(one, other)
    assert index.count_items(SPACE, TrackFilter(tags=("t3",))) == 1
    index.delete_items(SPACE, list(range(2, 15)))
    assert index.outgrown(SPACE)
    size = index.size_bytes(SPACE)
    index.merge(SPACE)
    if table_from > 1:
        assert index.size_bytes(SPACE) < size / 8
    assert best(index, asked(1)) == 1
    assert index.item_lengths(SPACE).keys() == {1}
    index.delete_items(SPACE, [1])
    index.merge(SPACE)
    assert segments(root) == []


def test_a_payload_alone_rewrites_nothing(index: SegmentIndex, root: Path) -> None:
    index.upsert(SPACE, [made(n) for n in range(1, 4)])
    before = segments(root)
    index.upsert(SPACE, [made(2, tags=("new",)), made(3)])
    assert segments(root) == before
    assert best(index, asked(2), TrackFilter(tags=("new",))) == 2


def test_what_changes_while_segments_are_merged_is_kept(
    index: SegmentIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    for first in range(1, 9, 2):
        index.upsert(SPACE, [made(first), made(first + 1)])
    merge_pieces = landmarks_writing.merge_pieces

    def meanwhile(*args: object) -> object:
        merged = merge_pieces(*args)  # type: ignore[arg-type]
        other = SegmentIndex(index._root)
        other.delete_items(SPACE, [1])
        other.upsert(SPACE, [made(2, tags=("late",)), entry(3, random_landmarks(99)), made(50)])
        return merged

    monkeypatch.setattr(landmarks_writing, "merge_pieces", meanwhile)
    index.merge(SPACE)
    assert index.item_lengths(SPACE).keys() == {2, 3, 4, 5, 6, 7, 8, 50}
    assert best(index, asked(1)) is best(index, asked(3)) is None
    assert best(index, asked(99)) == 3
    assert best(index, asked(50)) == 50
    assert best(index, asked(2), TrackFilter(tags=("late",))) == 2


def test_readers_go_on_while_segments_are_merged(
    index: SegmentIndex, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other threads, with an index of their own as another process has; every answer is right."""
    monkeypatch.setattr(landmarks_merging, "SMALL", 0)
    done, answers, problems = Event(), [], []

    def ask(number: int) -> None:
        own = SegmentIndex(root)
        while not done.is_set():
            try:
                answers.append(best(own, asked(number)) == number)
            except Exception as problem:  # noqa: BLE001  any error at all fails the test
                problems.append(problem)

    index.upsert(SPACE, [made(1), made(2)])
    askers = [Thread(target=ask, args=(number,)) for number in (1, 2)]
    for asker in askers:
        asker.start()
    for number in range(3, 30):
        index.upsert(SPACE, [made(number)])
        if number % 3 == 0:
            index.merge(SPACE)
    done.set()
    for asker in askers:
        asker.join()
    assert problems == []
    assert len(answers) > 10
    assert all(answers)
    assert len(segments(root)) <= 4


def test_a_query_under_way_keeps_its_generation(index: SegmentIndex) -> None:
    index.upsert(SPACE, [made(1), made(2)])
    (part,) = index._state(SPACE).parts.values()
    postings = np.array(part.files.postings)
    index.rebuild(SPACE, TRACKS, [made(3)])
    assert best(index, asked(1)) is None
    assert (part.files.postings == postings).all()


def test_another_process_s_index_sees_writes_at_once(index: SegmentIndex, root: Path) -> None:
    other = SegmentIndex(root)
    for number in range(1, 6):
        index.upsert(SPACE, [made(number)])
        assert best(other, asked(number)) == number
    index.delete_items(SPACE, [3])
    assert best(other, asked(3)) is None
    index.drop_space(SPACE)
    with pytest.raises(SpaceMissing):
        other.count_items(SPACE, EVERYTHING)
    index.create_space(SPACE, TRACKS)
    assert other.count_items(SPACE, EVERYTHING) == 0


def test_only_what_changed_is_read_again(
    index: SegmentIndex, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.upsert(SPACE, [made(n) for n in range(1, 20)])
    before = next(iter(index._state(SPACE).parts.values()))
    writer = SegmentIndex(root)
    writer.count_items(SPACE, EVERYTHING)
    read: list[int] = []
    put = Columns.put
    monkeypatch.setattr(
        Columns, "put", lambda self, rows: read.append(len(rows)) or put(self, rows)
    )
    writer.upsert(SPACE, [made(20), made(5, tags=("x",))])
    state = index._state(SPACE)
    assert read == [1, 1]
    assert state.parts[before.row.number].files is before.files


def test_what_was_erased_is_in_no_byte(index: SegmentIndex, root: Path) -> None:
    secret = entry(1, random_landmarks(1), tags=("whispered-in-confidence",))
    index.upsert(SPACE, [secret, made(2), made(3)])
    index.upsert(SPACE, [made(4)])
    bins = bins_and_ranks(secret.landmarks)[100:140].tobytes()

    def traces() -> list[str]:
        files = [path for path in root.rglob("*") if path.is_file()]
        held = {path.name: path.read_bytes() for path in files}
        return [name for name, content in held.items() if bins in content or b"whisper" in content]

    assert len(traces()) >= 2
    index.delete_items(SPACE, [1])
    assert traces()
    index.rewrite(SPACE)
    assert traces() == []
    assert [best(index, asked(n)) for n in (1, 2, 3, 4)] == [None, 2, 3, 4]


@pytest.mark.parametrize("harm", ["cut", "flip", "remove", "remove all"])
@pytest.mark.parametrize("name", ["postings", "pointers", "tracks", "peak_bins", "ledger"])
def test_damage_is_told_and_a_rebuild_heals(
    index: SegmentIndex, root: Path, name: str, harm: str
) -> None:
    index.upsert(SPACE, [made(1), made(2)])
    (path,) = segments(root)
    path = path / f"{name}.npy" if name != "ledger" else path.parents[1] / "ledger.sqlite3"
    for log in path.parent.glob("*-wal"):
        with sqlite3.connect(path) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        assert not log.exists() or not log.stat().st_size
    damage(path, harm)
    fresh = SegmentIndex(root)
    with pytest.raises(SpaceMissing):
        best(fresh, asked(1))
    assert SPACE not in fresh.spaces()
    fresh.rebuild(SPACE, TRACKS, [made(1), made(2)])
    assert fresh.spaces() == [SPACE]
    assert best(fresh, asked(2)) == best(index, asked(2)) == 2


def damage(path: Path, harm: str) -> None:
    content = path.read_bytes()
    if harm == "remove":
        path.unlink()
    elif harm == "remove all":
        for each in path.parent.glob("*.*"):
            each.unlink()
    elif harm == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif path.suffix == ".npy":
        path.write_bytes(content[:-5] + bytes([content[-5] ^ 1]) + content[-4:])
    else:
        path.write_bytes(bytes(len(content)))


def test_damage_in_a_large_file_is_told_when_it_is_merged(
    index: SegmentIndex, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landmarks_files, "CHECKED_BYTES", 0)
    index.upsert(SPACE, [made(1)])
    index.upsert(SPACE, [made(2)])
    postings = segments(root)[0] / "postings.npy"
    content = postings.read_bytes()
    postings.write_bytes(content[:-400] + b"\xff" * 400)
    fresh = SegmentIndex(root)
    assert best(fresh, asked(1)) == 1  # postings beyond the last track are passed over
    with pytest.raises(SpaceMissing):
        fresh.merge(SPACE)
    assert fresh.spaces() == []


def test_who_waits_too_long_is_told(index: SegmentIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = index._folder(SPACE)
    with folder.locked("writing"), pytest.raises(IndexUnavailable), folder.locked("writing", 0.05):
        pass


sizes = st.lists(st.tuples(st.integers(0, 40_000_000), st.floats(0, 1)), min_size=1, max_size=40)


@settings(max_examples=100, deadline=None)
@given(sizes)
def test_merging_ends_with_few_segments(sizes: list[tuple[int, float]]) -> None:
    rows = [SegmentRow(n, size, int(size * part), {}) for n, (size, part) in enumerate(sizes)]
    merges = 0
    while group := due(rows):
        merges += 1
        assert merges <= 2 * len(sizes)
        merged = sum(row.postings - row.dead for row in group)
        rows = [row for row in rows if row not in group] + [SegmentRow(100 + merges, merged, 0, {})]
    alive = sorted(max(1, row.postings - row.dead) for row in rows)
    for number, size in enumerate(alive[1:], 1):
        smaller = sum(alive[:number])
        assert size >= GROWTH * smaller or smaller + size > landmarks_merging.LARGEST
    assert all(row.dead <= DEAD_SHARE * row.postings for row in rows)


numbers = st.one_of(
    st.integers(-3, 8), st.sampled_from([2**53, 2**53 + 1, 2**63 - 1, -(2**63), 2**63, 1 << 90])
)
stored = st.one_of(st.integers(-3, 8), st.sampled_from([2**53, 2**53 + 1, 2**63 - 1, -(2**63)]))
words = st.one_of(st.sampled_from(["a", "b", "ab", "", "雨", "\ud800", '"]']), st.text(max_size=3))
bounds = st.one_of(st.none(), numbers)
payloads = st.builds(
    TrackPayload,
    track_id=stored,
    kind=words,
    collection_id=stored,
    tags=st.lists(words, max_size=4).map(tuple),
    duration_ms=stored,
    added_at=stored,
)
filters = st.builds(
    TrackFilter,
    collection_ids=st.lists(numbers, max_size=3).map(tuple),
    tags=st.lists(words, max_size=2).map(tuple),
    kinds=st.lists(words, max_size=3).map(tuple),
    min_duration_ms=bounds,
    max_duration_ms=bounds,
    added_from=bounds,
    added_to=bounds,
    exclude_item_ids=st.lists(numbers, max_size=3).map(tuple),
    exclude_collection_ids=st.lists(numbers, max_size=3).map(tuple),
    exclude_kinds=st.lists(words, max_size=2).map(tuple),
)


@settings(max_examples=100, deadline=None)
@given(
    held=st.lists(payloads, min_size=1, max_size=12),
    changed=st.lists(st.tuples(st.integers(0, 11), st.one_of(st.none(), payloads)), max_size=6),
    where=filters,
)
def test_masks_agree_with_conditions(
    held: list[TrackPayload],
    changed: list[tuple[int, TrackPayload | None]],
    where: TrackFilter,
) -> None:
    """Also after some payloads were changed and some tracks died."""
    columns = Columns.of(TRACKS, len(held), [_row(n, each) for n, each in enumerate(held)])
    now: list[TrackPayload | None] = [*held]
    for local, payload in changed:
        if local < len(held):
            columns = columns.put([_row(local, payload)])
            now[local] = payload
    want = [
        payload is not None and all(each.holds(payload) for each in where.conditions)
        for payload in now
    ]
    assert columns.allowed(where).tolist() == want


def _row(local: int, payload: TrackPayload | None) -> Row:
    return Row(local, payload is not None, payload_text(payload) if payload else "")


def test_a_new_space_holds_nothing_of_the_pieces_it_was_built_of(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landmarks_pieces, "PIECE", 1)
    index = SegmentIndex(root)
    index.rebuild(SPACE, TRACKS, [made(n) for n in range(1, 9)])
    (segment,) = segments(root)
    names = {path.name for path in segment.parents[1].iterdir()}
    assert {name.partition("-")[0] for name in names} == {"ledger.sqlite3", "segments"}
    assert [best(index, asked(n)) for n in range(1, 9)] == list(range(1, 9))
