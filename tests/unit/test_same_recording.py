"""Same recording: which one, from where to where, how fast, how sure; and what is none."""

import numpy as np
import pytest
import soxr
from scipy.signal import butter, sosfilt

from audiosearch.engine.analyzers.landmarks.spectrum import BINS, LOW_BIN, SAMPLE_RATE
from audiosearch.engine.arrays import FloatArray
from audiosearch.engine.errors import SpaceMissing
from audiosearch.engine.indexes.filters import TrackFilter
from audiosearch.engine.indexes.landmarks_base import Candidates, LandmarkEntry
from audiosearch.engine.indexes.landmarks_exact import ExactLandmarkIndex
from audiosearch.engine.indexes.payloads import TrackPayload
from audiosearch.engine.matchers.recording.probability import (
    LADDER,
    MATCH,
    MAYBE,
    Calibration,
    chance_of,
)
from audiosearch.engine.matchers.recording.query import LONGEST_S, RecordingQuery
from audiosearch.engine.matchers.recording.verifying import Evidence, evidence_of, verify
from audiosearch.engine.matchers.same_recording import RecordingAnswer, SameRecording, identify
from tests.landmark_sounds import analysed, made_song

SPACE = "landmarks-v1"


def index_of(tracks: dict[int, FloatArray]) -> ExactLandmarkIndex:
    index = ExactLandmarkIndex()
    index.create_space(SPACE, TrackPayload.layout)
    index.upsert(
        SPACE,
        [
            LandmarkEntry(TrackPayload(track_id=item_id, collection_id=item_id % 2), analysed(song))
            for item_id, song in tracks.items()
        ],
    )
    return index


@pytest.fixture(scope="module")
def songs() -> dict[int, FloatArray]:
    return {number: made_song(number, seconds=24) for number in range(1, 13)}


@pytest.fixture(scope="module")
def index(songs: dict[int, FloatArray]) -> ExactLandmarkIndex:
    return index_of(songs)


def cut(song: FloatArray, begin_s: float, seconds: float) -> FloatArray:
    begin = int(begin_s * SAMPLE_RATE)
    return song[begin : begin + int(seconds * SAMPLE_RATE)]


def noisy(samples: FloatArray, snr: float, seed: int = 0) -> FloatArray:
    noise = np.random.default_rng(seed).normal(size=len(samples))
    return np.asarray(samples + noise * samples.std() * 10 ** (-snr / 20), np.float32)


def ask(samples: FloatArray, index: ExactLandmarkIndex) -> RecordingAnswer:
    """Without the ladder."""
    query, matcher = RecordingQuery.from_samples(samples), SameRecording()
    return matcher.match(query, index, SPACE, top_k=5, where=TrackFilter(), ladder=False)


@pytest.mark.parametrize("seconds", [3, 5, 10])
@pytest.mark.parametrize("snr", [60, 0])
def test_an_excerpt_is_recognised_with_its_moment(
    index: ExactLandmarkIndex, songs: dict[int, FloatArray], seconds: int, snr: float
) -> None:
    for number in (2, 7, 11):
        answer = ask(noisy(cut(songs[number], 6.4, seconds), snr), index)
        assert answer.verdict == "match" and answer.reason == ""
        hit = answer.hits[0]
        assert hit.item_id == number and hit.probability >= 0.9
        assert hit.start_ms - hit.query_start_ms == pytest.approx(6400, abs=60)
        length = hit.query_end_ms - hit.query_start_ms
        assert hit.end_ms - hit.start_ms == pytest.approx(length, abs=1)
        assert length > 0.8 * 1000 * seconds
        assert (hit.speed, hit.pitch) == (1, 1)
        assert hit.aligned > 0.5 * hit.of > 0.5 * 15 * seconds


@pytest.mark.parametrize("tracks", [1, 2, 12])
def test_probabilities_hold_in_small_catalogues(songs: dict[int, FloatArray], tracks: int) -> None:
    index = index_of({number: songs[number] for number in range(1, tracks + 1)})
    assert ask(noisy(cut(songs[1], 3, 5), 0), index).hits[0].probability > 0.9
    for seed in range(100, 106):
        assert ask(made_song(seed, seconds=5), index).verdict != "match"


def test_nothing_is_in_an_empty_catalogue(songs: dict[int, FloatArray]) -> None:
    answer = identify(songs[1], SAMPLE_RATE, index_of({}), SPACE)
    assert (answer.verdict, answer.hits) == ("none", [])
    assert "catalogue" in answer.reason


def test_what_is_filtered_is_not_found(
    index: ExactLandmarkIndex, songs: dict[int, FloatArray]
) -> None:
    query, matcher = RecordingQuery.from_samples(cut(songs[4], 5, 5)), SameRecording()

    def found(where: TrackFilter) -> set[int]:
        answer = matcher.match(query, index, SPACE, top_k=5, where=where, ladder=False)
        return {hit.item_id for hit in answer.hits if hit.probability > 0.5}

    assert found(TrackFilter(collection_ids=(0,))) == {4}
    assert found(TrackFilter(collection_ids=(1,))) == set()
    assert found(TrackFilter(exclude_item_ids=(4,))) == set()


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        (np.zeros(5 * SAMPLE_RATE), "silence"),
        (np.full(5 * SAMPLE_RATE, 0.3), "steady"),
        (np.random.default_rng(0).normal(0, 1e-4, 5 * SAMPLE_RATE), "too quiet"),
        (0.5 * np.sin(np.arange(5 * SAMPLE_RATE) * 2 * np.pi * 440 / SAMPLE_RATE), "steady tone"),
        (np.ones(2 * SAMPLE_RATE), "too short"),
        (np.zeros(0), "too short"),
    ],
)
def test_what_has_nothing_to_recognise_is_none_in_words(
    index: ExactLandmarkIndex, samples: FloatArray, reason: str
) -> None:
    answer = identify(samples.astype(np.float32), SAMPLE_RATE, index, SPACE)
    assert (answer.verdict, answer.hits) == ("none", [])
    assert reason in answer.reason


def test_noise_and_strangers_are_none(index: ExactLandmarkIndex) -> None:
    for seed in range(200, 206):
        assert ask(made_song(seed, seconds=5), index).verdict == "none"
        assert ask(noisy(np.ones(55_125, np.float32) * 0.1, -60, seed), index).verdict == "none"


def test_all_repeats_are_hits_and_others_keep_their_place(songs: dict[int, FloatArray]) -> None:
    """A song that comes three times in a track, and once in another."""
    part = cut(songs[1], 0, 8)
    repeated = np.concatenate([part, cut(songs[2], 0, 4), part, cut(songs[3], 0, 4), part])
    index = index_of({1: repeated, 2: cut(songs[1], 0, 12), 3: songs[5], 4: songs[6]})
    answer = ask(noisy(cut(part, 1, 5), 10), index)
    assert answer.verdict == "match"
    starts = {
        item_id: sorted(
            hit.start_ms - hit.query_start_ms for hit in answer.hits if hit.item_id == item_id
        )
        for item_id in (1, 2)
    }
    assert starts[1] == pytest.approx([1000, 13_000, 25_000], abs=60)
    assert starts[2] == pytest.approx([1000], abs=60)
    assert all(hit.probability >= 0.9 for hit in answer.hits if hit.item_id in (1, 2))


def test_many_copies_do_not_lower_the_probability(songs: dict[int, FloatArray]) -> None:
    copies = {number: noisy(songs[1], 30, number) for number in range(1, 11)}
    answer = ask(noisy(cut(songs[1], 4, 5), 10), index_of(copies))
    assert answer.verdict == "match" and answer.hits[0].probability > 0.97


def test_a_part_of_the_query_that_is_not_in_the_track_is_left_out(
    index: ExactLandmarkIndex, songs: dict[int, FloatArray]
) -> None:
    query = np.concatenate([made_song(300, seconds=4), cut(songs[9], 10, 6)])
    hit = ask(query, index).hits[0]
    assert hit.item_id == 9
    assert hit.query_start_ms == pytest.approx(4000, abs=700)
    assert hit.start_ms - hit.query_start_ms == pytest.approx(6000, abs=60)
    assert hit.query_end_ms == pytest.approx(10_000, abs=300)


def test_of_a_long_sound_the_loudest_part_is_asked(songs: dict[int, FloatArray]) -> None:
    long = np.concatenate([made_song(400, seconds=20) * np.float32(0.05), songs[3], songs[3]])
    query = RecordingQuery.from_samples(long)
    assert query.seconds == LONGEST_S
    assert 15_000 < query.begin_ms < 40_000


@pytest.mark.parametrize("speed", [1.04, 0.97])
def test_another_speed_is_found_by_the_ladder(songs: dict[int, FloatArray], speed: float) -> None:
    index = index_of({number: songs[number] for number in (1, 2, 3)})
    played = soxr.resample(cut(songs[2], 5, 12), SAMPLE_RATE * speed, SAMPLE_RATE)
    played = np.asarray(played, np.float32)[: 10 * SAMPLE_RATE]
    answer = identify(played, SAMPLE_RATE, index, SPACE)
    assert answer.verdict == "match"
    hit = answer.hits[0]
    assert (hit.item_id, hit.speed, hit.pitch) == (2, pytest.approx(speed), pytest.approx(speed))
    assert hit.start_ms - hit.query_start_ms * speed == pytest.approx(5000, abs=250)


def test_identify_takes_channels_and_any_rate(
    index: ExactLandmarkIndex, songs: dict[int, FloatArray]
) -> None:
    wide = soxr.resample(cut(songs[6], 7, 5), SAMPLE_RATE, 44_100)
    answer = identify(np.stack([wide, wide], axis=1), 44_100, index, SPACE)
    assert answer.hits[0].item_id == 6
    with pytest.raises(SpaceMissing):
        identify(wide, 44_100, index, "other")


def test_chance_is_measured_by_strangers_where_tracks_are_few() -> None:
    strangers = [6.0, 5.5, *[5.0] * 20]
    alone, many = chance_of([30.0], strangers), chance_of([30.0, 9, 8, *[7.0, 6.0] * 9], strangers)
    assert alone.mean == pytest.approx(5.08, abs=0.05)
    assert many.mean == pytest.approx(6.5, abs=0.05)
    assert many.standing(30) < alone.standing(30)
    copies = chance_of([30.0] * 12, strangers)
    assert copies.mean == pytest.approx(alone.mean)


def test_high_peaks_and_loud_bins_count_more_and_chance_stays_chance() -> None:
    """By chance a score is the highest of a standard normal's seven, whatever the weights."""
    rng = np.random.default_rng(0)
    places, each = 400, 60
    bins = np.tile(np.arange(LOW_BIN, LOW_BIN + each, dtype=np.int32), places)
    peaks = {
        "peak_starts": np.arange(0, places * each + 1, each, dtype=np.int64),
        "peak_frames": rng.integers(8, 92, places * each).astype(np.int32),
        "peak_bins": bins,
        "peak_ranks": np.tile(np.repeat([0, 24], each // 2), places).astype(np.uint8),
    }
    none = np.zeros(places, np.int64)
    found = Candidates(none, none.astype(np.int32), none.astype(np.float32), **peaks)
    points = rng.uniform(-0.5, 0.5, (100, BINS)).astype(np.float32)
    even = Evidence(points, np.ones(BINS, np.float32))
    uneven = Evidence(points, np.linspace(1, 0.25, BINS, dtype=np.float32))
    for evidence in (even, uneven):
        scores, _ = verify(evidence, found)
        assert (scores.mean(), scores.std()) == pytest.approx((1.35, 0.62), abs=0.15)
    high, low = points.copy(), points.copy()
    high[:, : each // 2] = low[:, each // 2 : each] = 0.4
    ranked = [verify(Evidence(one, even.weights), found)[0].mean() for one in (high, low)]
    assert ranked[0] > 1.2 * ranked[1]
    loud, faint = np.ones(BINS, np.float32), np.ones(BINS, np.float32)
    faint[: each // 2] = loud[each // 2 :] = 0.25
    by_level = [verify(Evidence(high, weights), found)[0].mean() for weights in (loud, faint)]
    assert by_level[0] > 1.2 * by_level[1]


def test_a_telephone_lets_nothing_through_above_its_band(songs: dict[int, FloatArray]) -> None:
    heard = sosfilt(butter(8, 3000, fs=SAMPLE_RATE, output="sos"), noisy(songs[1], 0))
    weights = evidence_of(RecordingQuery.from_samples(np.asarray(heard, np.float32))).weights
    assert weights[: 2000 * BINS // 5000].min() > 0.9
    assert weights[-20:].max() == 0.25


def test_a_calibration_rises_with_evidence() -> None:
    calibration = Calibration(-7, 0.7, 0.2, -1)
    low, high = (calibration.probability(standing, 8, 5) for standing in (2, 20))
    assert 0 < low < 0.1 < 0.9 < high < 1
    assert calibration.probability(1e9, 1e9, 3) <= 1


def test_a_score_counts_from_where_strangers_end() -> None:
    calibration = Calibration(-7, 0.7, 0.8, -1, beyond=15)
    low, edge, high = (calibration.probability(6, score, 5) for score in (2, 15, 25))
    assert low == edge < 0.1 < 0.9 < high


def test_the_ladder_is_never_sure_of_a_short_query() -> None:
    short, long = (LADDER.probability(30, 30, seconds) for seconds in (5, 10))
    assert MAYBE <= short < MATCH <= long
