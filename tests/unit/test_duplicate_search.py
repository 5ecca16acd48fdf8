"""Which tracks are one master: copies, parts, other speeds; and what is none."""

from collections.abc import Callable

import numpy as np
import pytest
import soxr

from audiosearch.engine.analyzers.landmarks.representation import Landmarks
from audiosearch.engine.analyzers.landmarks.spectrum import SAMPLE_RATE
from audiosearch.engine.discovery.alignment import fitted_line
from audiosearch.engine.discovery.duplicates import Duplicate, find_duplicates, is_unfit
from audiosearch.engine.indexes.filters import TrackFilter
from audiosearch.engine.indexes.landmarks_base import LandmarkEntry
from audiosearch.engine.indexes.landmarks_exact import ExactLandmarkIndex
from audiosearch.engine.indexes.payloads import TrackPayload
from tests.audio_files import noise, tone
from tests.landmark_sounds import analysed, made_song

SPACE = "landmarks-v1"
Samples = np.ndarray
Found = Callable[..., list[Duplicate]]


@pytest.fixture(scope="module")
def songs() -> list[Samples]:
    return [made_song(seed, seconds=24) for seed in range(6)]


@pytest.fixture(scope="module")
def find(songs: list[Samples]) -> Found:
    """find(samples, **find_duplicates' own): in an index of the songs, numbered from 1."""
    index = ExactLandmarkIndex()
    index.create_space(SPACE, TrackPayload.layout)
    kept = {number: analysed(song) for number, song in enumerate(songs, 1)}
    index.upsert(
        SPACE,
        [
            LandmarkEntry(TrackPayload(track_id=number, collection_id=number), one)
            for number, one in kept.items()
        ],
    )

    def found(samples: Samples, **options: object) -> list[Duplicate]:
        landmarks = analysed(np.asarray(samples, np.float32))
        return find_duplicates(landmarks, index, SPACE, kept.get, **options)

    return found


def near(milliseconds: int, seconds: float) -> bool:
    return abs(milliseconds - 1000 * seconds) < 700


def test_a_worse_copy_is_the_same_from_end_to_end(find: Found, songs: list[Samples]) -> None:
    rng = np.random.default_rng(1)
    copy = np.clip(songs[2] * 2, -1, 1) + rng.normal(0, 0.01, len(songs[2]))
    (only,) = find(copy)
    assert only.item_id == 3
    assert 0.3 < only.share <= 1
    assert only.share == only.aligned / only.of
    assert near(only.start_ms, 0) and near(only.end_ms, 24)
    assert near(only.other_start_ms, 0) and near(only.other_end_ms, 24)
    assert only.speed == pytest.approx(1, abs=0.002)


def test_a_part_is_told_with_its_moments(find: Found, songs: list[Samples]) -> None:
    (only,) = find(songs[4][7 * SAMPLE_RATE : 15 * SAMPLE_RATE])
    assert only.item_id == 5
    assert near(only.start_ms, 0) and near(only.end_ms, 8)
    assert near(only.other_start_ms, 7) and near(only.other_end_ms, 15)


def test_a_shared_sample_is_a_stretch_and_not_the_whole(find: Found, songs: list[Samples]) -> None:
    other = made_song(99, seconds=24)
    other[10 * SAMPLE_RATE : 17 * SAMPLE_RATE] = songs[1][3 * SAMPLE_RATE : 10 * SAMPLE_RATE]
    (only,) = find(other)
    assert only.item_id == 2
    assert near(only.start_ms, 10) and near(only.end_ms, 17)
    assert near(only.other_start_ms, 3) and near(only.other_end_ms, 10)


@pytest.mark.parametrize("speed", [1.01, 0.967, 1.056])
def test_another_speed_is_told(find: Found, songs: list[Samples], speed: float) -> None:
    (only,) = find(soxr.resample(songs[0], SAMPLE_RATE * speed, SAMPLE_RATE))
    assert only.item_id == 1
    assert only.speed == pytest.approx(speed, abs=0.002)
    assert near(only.end_ms, 24 / speed) and near(only.other_end_ms, 24)
    assert find(soxr.resample(songs[0], SAMPLE_RATE * speed, SAMPLE_RATE), ladder=()) == []


def test_others_and_what_has_nothing_in_it_have_none(find: Found, songs: list[Samples]) -> None:
    assert find(made_song(77, seconds=24)) == []
    assert find(noise(10)) == []
    silence = np.zeros(5 * SAMPLE_RATE, np.float32)
    beep = np.sin(2 * np.pi * 440 * np.arange(5 * SAMPLE_RATE) / SAMPLE_RATE).astype(np.float32)
    for empty in (silence, beep, songs[0][: SAMPLE_RATE // 2]):
        assert is_unfit(analysed(empty))
        assert find(empty) == []
    assert not is_unfit(analysed(songs[0]))
    assert len(tone(1, 440))  # what the catalogue's tests add is such a tone


def test_itself_and_what_is_filtered_are_left_out(find: Found, songs: list[Samples]) -> None:
    assert find(songs[3], own_id=4) == []
    assert find(songs[3], where=TrackFilter(exclude_collection_ids=(4,))) == []


def test_a_candidate_whose_landmarks_are_gone_is_passed_over(songs: list[Samples]) -> None:
    index = ExactLandmarkIndex()
    index.create_space(SPACE, TrackPayload.layout)
    own: Landmarks = analysed(songs[0])
    index.upsert(SPACE, [LandmarkEntry(TrackPayload(track_id=1), own)])
    assert find_duplicates(own, index, SPACE, lambda _: None) == []


def test_pairs_of_one_moment_do_not_tell_a_speed() -> None:
    """Two of them lie on a line by which the one would stand still, at no speed at all."""
    frames, off = np.array([10, 11]), np.array([0, -1])
    assert fitted_line(frames, off, 0.0, 0.0, 0.01) == (0.0, 0.0)
    frames = np.array([0, 500, 1000])
    slope, offset = fitted_line(frames, frames // 500 + 1, 0.0, 1.0, 0.01)
    assert (slope, offset) == pytest.approx((0.002, 1.0))
