"""Candidates: where votes agree, in which tracks, and with which peaks; in memory."""

import numpy as np
import pytest

from audiosearch.engine.analyzers.landmarks.hashes import hashes_of
from audiosearch.engine.analyzers.landmarks.representation import Landmarks
from audiosearch.engine.analyzers.landmarks.spectrum import HOP, SAMPLE_RATE
from audiosearch.engine.errors import SpaceMissing
from audiosearch.engine.indexes import landmarks_voting as voting
from audiosearch.engine.indexes.filters import EnrolmentFilter, TrackFilter
from audiosearch.engine.indexes.landmarks_base import (
    MARGIN,
    PER_ITEM,
    STRETCH,
    Candidates,
    LandmarkEntry,
    LandmarkQuery,
)
from audiosearch.engine.indexes.landmarks_exact import ExactLandmarkIndex
from audiosearch.engine.indexes.landmarks_voting import (
    EVERY_BLOCK,
    lay_out,
    merge,
    posting_bounds,
    vote,
    weigh,
)
from audiosearch.engine.indexes.payloads import EnrolmentPayload, TrackPayload
from tests.landmark_sounds import analysed, made_song

SPACE, EVERYTHING = "landmarks-v1", TrackFilter()


def entry(item_id: int, landmarks: Landmarks, collection_id: int = 0) -> LandmarkEntry:
    return LandmarkEntry(TrackPayload(track_id=item_id, collection_id=collection_id), landmarks)


def query_of(landmarks: Landmarks) -> LandmarkQuery:
    hashes, frames = hashes_of(landmarks)
    weights = np.ones(len(hashes), np.float32)
    return LandmarkQuery(hashes.astype(np.int64), frames, weights, int(landmarks.length[0]))


@pytest.fixture(scope="module")
def songs() -> list[np.ndarray]:
    return [made_song(seed, seconds=16) for seed in range(8)]


@pytest.fixture
def index(songs: list[np.ndarray]) -> ExactLandmarkIndex:
    held = ExactLandmarkIndex()
    held.create_space(SPACE, TrackPayload.layout)
    held.upsert(SPACE, [entry(10 + n, analysed(song), n % 2) for n, song in enumerate(songs)])
    return held


def asked(
    index: ExactLandmarkIndex, samples: np.ndarray, where: TrackFilter = EVERYTHING
) -> Candidates:
    return index.candidates(SPACE, query_of(analysed(samples)), 300, where)


def test_an_excerpt_votes_for_its_place(index: ExactLandmarkIndex, songs: list[np.ndarray]) -> None:
    for number, song in enumerate(songs):
        begin = (100 + 7 * number) * HOP
        found = asked(index, song[begin : begin + 5 * SAMPLE_RATE])
        assert (found.item_ids[0], found.offsets[0]) == (10 + number, 100 + 7 * number)
        assert found.votes[0] > 5 * found.votes[1]
        assert (np.diff(found.votes) <= 0).all()


def test_a_query_may_begin_before_the_track_and_end_behind_it(
    index: ExactLandmarkIndex, songs: list[np.ndarray]
) -> None:
    silence = np.zeros(50 * HOP, np.float32)
    found = asked(index, np.concatenate([silence, songs[3][: 4 * SAMPLE_RATE]]))
    assert (found.item_ids[0], found.offsets[0]) == (13, -50)
    begin = 500 * HOP
    found = asked(index, np.concatenate([songs[3][begin:], silence]))
    assert (found.item_ids[0], found.offsets[0]) == (13, 500)


def test_the_peaks_around_come_along(index: ExactLandmarkIndex, songs: list[np.ndarray]) -> None:
    whole = analysed(songs[2])
    query = query_of(analysed(songs[2][200 * HOP : 300 * HOP]))
    found = index.candidates(SPACE, query, 300, EVERYTHING)
    assert len(found.peak_starts) == len(found) + 1
    assert found.peak_starts[-1] == len(found.peak_frames) == len(found.peak_bins)
    first = slice(found.peak_starts[0], found.peak_starts[1])
    frames = whole.frames - 200
    around = (frames >= -MARGIN) & (frames < int(query.length * STRETCH) + MARGIN)
    assert found.peak_frames[first].tolist() == frames[around].tolist()
    assert found.peak_bins[first].tolist() == whole.bins[around].tolist()


def test_what_is_filtered_takes_no_place(
    index: ExactLandmarkIndex, songs: list[np.ndarray]
) -> None:
    query = query_of(analysed(songs[4][: 5 * SAMPLE_RATE]))
    where = TrackFilter(collection_ids=(1,))
    assert set(index.candidates(SPACE, query, 300, where).item_ids) <= {11, 13, 15, 17}
    best = index.candidates(SPACE, query, 1, EVERYTHING)
    assert best.item_ids.tolist() == [14]
    assert len(index.candidates(SPACE, query, 1, where)) == 1
    assert len(index.candidates(SPACE, query, 300, TrackFilter(collection_ids=(9,)))) == 0
    assert index.count_items(SPACE, where) == 4


def test_a_loop_leaves_places_to_others(songs: list[np.ndarray]) -> None:
    bar = songs[0][: SAMPLE_RATE // HOP * HOP]
    index = ExactLandmarkIndex()
    index.create_space(SPACE, TrackPayload.layout)
    index.upsert(SPACE, [entry(1, analysed(np.tile(bar, 60)))])
    index.upsert(SPACE, [entry(2, analysed(songs[0]))])
    found = asked(index, np.tile(bar, 3))
    assert (found.item_ids == 1).sum() == PER_ITEM
    assert 2 in found.item_ids
    again = found.offsets[found.item_ids == 1]
    assert (again % (len(bar) // HOP) == 0).mean() > 0.8  # wherever the bar comes again


def test_segments_together_answer_as_one(songs: list[np.ndarray]) -> None:
    landmarks = [(n, analysed(song)) for n, song in enumerate(songs)]
    query = query_of(analysed(songs[6][SAMPLE_RATE * 4 : SAMPLE_RATE * 9]))

    def search(*parts: list[tuple[int, Landmarks]]) -> Candidates:
        segments = [lay_out(part) for part in parts]
        bounds = [posting_bounds(segment.hashes, query.hashes) for segment in segments]
        found = np.sum([highs - lows for lows, highs in bounds], axis=0)
        weights = weigh(query, found, sum(len(segment.posts) for segment in segments))
        voted = [
            vote(segment, bound, query, weights, 300, EVERY_BLOCK)
            for segment, bound in zip(segments, bounds, strict=True)
        ]
        return merge(voted, 300)

    whole = search(landmarks)
    parts = search(landmarks[:5], landmarks[5:7], landmarks[7:])
    assert len(whole) == len(parts)
    assert parts.votes.tolist() == whole.votes.tolist()

    def places(found: Candidates) -> dict[tuple[int, int], list[tuple[int, int]]]:
        return {
            (int(found.item_ids[n]), int(found.offsets[n])): list(
                zip(
                    found.peak_frames[found.peak_starts[n] : found.peak_starts[n + 1]].tolist(),
                    found.peak_bins[found.peak_starts[n] : found.peak_starts[n + 1]].tolist(),
                    strict=True,
                )
            )
            for n in range(len(found))
        }

    assert places(parts) == places(whole)


def test_the_space_is_kept_up(index: ExactLandmarkIndex, songs: list[np.ndarray]) -> None:
    excerpt = songs[5][SAMPLE_RATE : 6 * SAMPLE_RATE]
    assert asked(index, excerpt).item_ids[0] == 15
    index.delete_items(SPACE, [15, 99])
    assert 15 not in asked(index, excerpt).item_ids
    index.upsert(SPACE, [entry(10, analysed(songs[5]))])
    assert asked(index, excerpt).item_ids[0] == 10
    lengths = index.item_lengths(SPACE)
    assert set(lengths) == {10, 11, 12, 13, 14, 16, 17}
    assert lengths[10] == len(analysed(songs[5]).frames)
    assert index.size_bytes(SPACE) > 8 * sum(lengths.values())
    index.rebuild(SPACE, TrackPayload.layout, iter([entry(3, analysed(songs[1]))]))
    assert index.item_lengths(SPACE).keys() == {3}
    index.delete_items(SPACE, [3])
    assert len(asked(index, excerpt)) == 0


def test_spaces_that_are_missing_or_of_another_layout(index: ExactLandmarkIndex) -> None:
    query = query_of(analysed(made_song(1, seconds=2)))
    with pytest.raises(SpaceMissing, match="no space"):
        index.candidates("other", query, 3, EVERYTHING)
    index.create_space("old", EnrolmentPayload.layout)
    assert index.outdated("old", TrackPayload.layout)
    assert not index.outdated(SPACE, TrackPayload.layout)
    assert not index.outdated("none", TrackPayload.layout)
    with pytest.raises(SpaceMissing, match="must be rebuilt"):
        index.candidates("old", query, 3, EVERYTHING)
    with pytest.raises(SpaceMissing, match="must be rebuilt"):
        index.count_items(SPACE, EnrolmentFilter())  # type: ignore[arg-type]
    assert index.spaces() == [SPACE, "old"]
    index.drop_space("old")
    index.drop_space("old")
    assert index.spaces() == [SPACE]


def test_the_most_common_hashes_are_left_out_where_there_are_too_many(
    index: ExactLandmarkIndex, songs: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    query = LandmarkQuery(np.arange(4), np.zeros(4, np.int32), np.ones(4, np.float32), 9)
    found = np.array([500, 20, 0, 300])
    assert (weigh(query, found, 1000) > 0).all()
    monkeypatch.setattr(voting, "MOST_VOTES", 400)
    assert (weigh(query, found, 1000) > 0).tolist() == [False, True, True, True]
    song = songs[3][9 * SAMPLE_RATE : 14 * SAMPLE_RATE]
    assert asked(index, song).item_ids[0] == 13  # by the rarer ones


def test_room_for_keys_is_short_where_it_suffices() -> None:
    from audiosearch.engine.indexes.landmarks_kernels import BIAS, WEIGHT_BITS, room_for_keys

    most = (1 << (32 - WEIGHT_BITS)) - BIAS
    assert room_for_keys(1, most - 1).dtype == np.uint32
    assert room_for_keys(1, most).dtype == np.int64
