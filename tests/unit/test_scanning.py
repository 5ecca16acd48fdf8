"""Long recordings: what is played when in them, joined, bridged, told apart, and nothing else."""

import math
from typing import Any

import numpy as np
import pytest

from audiosearch.engine.analyzers.landmarks.spectrum import SAMPLE_RATE, frames_to_ms
from audiosearch.engine.arrays import FloatArray
from audiosearch.engine.indexes.filters import TrackFilter
from audiosearch.engine.indexes.landmarks_base import LandmarkEntry
from audiosearch.engine.indexes.landmarks_exact import ExactLandmarkIndex
from audiosearch.engine.indexes.payloads import TrackPayload
from audiosearch.engine.matchers.recording.blocks import Block, BlockStream
from audiosearch.engine.matchers.recording.lines import Drawn, Line, Peaks, Sighting
from audiosearch.engine.matchers.recording.play_log import (
    Play,
    PlayLog,
    Stretch,
    gaps_of,
    overlaps_of,
    repeats_of,
    settle,
)
from audiosearch.engine.matchers.recording.probability import Chance
from audiosearch.engine.matchers.recording.scanning import Scanner, scan
from tests.landmark_sounds import analysed, made_song

SPACE = "landmarks-v1"
COPIED, COPY = 4, 40


@pytest.fixture(scope="module")
def songs() -> dict[int, FloatArray]:
    return {number: made_song(number, seconds=24) for number in range(1, 6)}


@pytest.fixture(scope="module")
def index(songs: dict[int, FloatArray]) -> ExactLandmarkIndex:
    """The songs, and one once more, cut and in noise."""
    index = ExactLandmarkIndex()
    index.create_space(SPACE, TrackPayload.layout)
    noise = np.random.default_rng(1).normal(0, 0.01, len(songs[COPIED])).astype(np.float32)
    tracks = {**songs, COPY: (songs[COPIED] + noise)[2 * SAMPLE_RATE :]}
    index.upsert(
        SPACE,
        [
            LandmarkEntry(TrackPayload(track_id=number, collection_id=number % 2), analysed(one))
            for number, one in tracks.items()
        ],
    )
    return index


def cut(song: FloatArray, begin_s: float, end_s: float) -> FloatArray:
    return song[int(begin_s * SAMPLE_RATE) : int(end_s * SAMPLE_RATE)]


def between(seconds: float, seed: int = 900) -> FloatArray:
    """What is in no catalogue."""
    return made_song(seed, seconds=seconds)


def scanned(index: ExactLandmarkIndex, *parts: FloatArray, **asked: Any) -> PlayLog:
    whole = np.concatenate(parts)
    return scan(np.array_split(whole, len(whole) // 5000 + 1), index, SPACE, **asked)


def assert_play(play: Play, item_id: int, start_s: float, end_s: float, track_s: float) -> None:
    assert play.item_id == item_id
    assert abs(play.start_ms - start_s * 1000) < 500
    assert abs(play.end_ms - end_s * 1000) < 500
    assert abs(play.track_start_ms - play.start_ms - (track_s - start_s) * 1000) < 100
    assert abs(play.track_end_ms - play.track_start_ms - (play.end_ms - play.start_ms)) < 100
    assert play.probability >= 0.9
    assert play.of >= play.aligned > play.of / 3


def test_what_is_played_when(index: ExactLandmarkIndex, songs: dict[int, FloatArray]) -> None:
    """Five seconds and a whole song, one of them again, and one that goes on after a pause."""
    log = scanned(
        index,
        between(8),
        cut(songs[1], 7, 12),  # from 8 to 13
        between(9, 901),
        songs[2],  # from 22 to 46
        cut(songs[1], 3, 15),  # from 46 to 58
        between(6, 902),
        cut(songs[3], 2, 10),  # from 64; its next 4 s are spoken over
        np.random.default_rng(0).normal(0, 0.2, 4 * SAMPLE_RATE).astype(np.float32),
        cut(songs[3], 14, 22),  # to 84
        between(12, 903),
    )
    assert abs(log.duration_ms - 96_000) < 10
    assert [play.item_id for play in log.plays] == [1, 2, 1, 3]
    assert_play(log.plays[0], 1, 8, 13, 7)
    assert_play(log.plays[1], 2, 22, 46, 0)
    assert_play(log.plays[2], 1, 46, 58, 3)
    assert_play(log.plays[3], 3, 64, 84, 2)
    assert not any(play.copies for play in log.plays)
    spans = [(play.start_ms, play.end_ms) for play in log.plays]
    gaps = gaps_of(log.duration_ms, spans)
    assert [round(gap.start_ms / 1000) for gap in gaps] == [0, 13, 58, 84]
    assert repeats_of([play.item_id for play in log.plays]) == [1, 1, 2, 1]


def test_two_at_once_are_both_told(index: ExactLandmarkIndex, songs: dict[int, FloatArray]) -> None:
    mixed = cut(songs[1], 12, 18) + cut(songs[2], 4, 10)
    log = scanned(index, cut(songs[1], 2, 12), mixed, cut(songs[2], 10, 20))
    one, other = log.plays
    assert_play(one, 1, 0, 16, 2)
    assert_play(other, 2, 10, 26, 4)
    (overlap,) = overlaps_of([(play.start_ms, play.end_ms) for play in log.plays])
    assert overlap.plays == (0, 1)
    assert 5000 < overlap.end_ms - overlap.start_ms < 7000


def test_copies_are_one_play(index: ExactLandmarkIndex, songs: dict[int, FloatArray]) -> None:
    log = scanned(index, between(6), cut(songs[COPIED], 6, 18), between(6, 901))
    (play,) = log.plays
    (copy,) = play.copies
    assert {play.item_id, copy.item_id} == {COPIED, COPY}
    assert abs(abs(play.track_start_ms - copy.track_start_ms) - 2000) < 100
    filtered = scanned(
        index, cut(songs[COPIED], 6, 18), where=TrackFilter(exclude_item_ids=(COPIED,))
    )
    assert [play.item_id for play in filtered.plays] == [COPY]


def test_a_loop_is_one_play(songs: dict[int, FloatArray]) -> None:
    """It agrees with itself at every turn; what is told is the course that goes through."""
    loop = np.tile(cut(songs[1], 4, 8), 5)
    index = ExactLandmarkIndex()
    index.create_space(SPACE, TrackPayload.layout)
    index.upsert(SPACE, [LandmarkEntry(TrackPayload(track_id=1), analysed(loop))])
    (play,) = scanned(index, between(6), loop, between(6, 901)).plays
    assert (round(play.start_ms / 1000), round(play.end_ms / 1000)) == (6, 26)
    assert abs(play.track_start_ms - 0) < 300


def test_a_speed_that_is_a_little_off_is_told(
    index: ExactLandmarkIndex, songs: dict[int, FloatArray]
) -> None:
    import soxr

    faster = soxr.resample(songs[2], SAMPLE_RATE * 1.005, SAMPLE_RATE).astype(np.float32)
    (play,) = scanned(index, faster).plays
    assert play.item_id == 2
    assert abs(play.speed - 1.005) < 0.002


def test_nothing_is_invented(index: ExactLandmarkIndex) -> None:
    silence, tone = np.zeros(20 * SAMPLE_RATE), np.sin(np.arange(20 * SAMPLE_RATE) / 5)
    for part in (silence, tone, between(40, 905)):
        assert not scanned(index, part.astype(np.float32)).plays
    assert scan([], index, SPACE) == PlayLog(0, [])
    assert scan([np.zeros(100, np.float32)], index, SPACE) == PlayLog(9, [])


def test_the_shortest_files_are_looked_at(
    index: ExactLandmarkIndex, songs: dict[int, FloatArray]
) -> None:
    for seconds in (4, 8, 14):
        (play,) = scanned(index, cut(songs[5], 5, 5 + seconds)).plays
        assert_play(play, 5, 0, seconds, 5)


def test_blocks_are_the_same_however_the_sound_comes(songs: dict[int, FloatArray]) -> None:
    whole, held = BlockStream(), BlockStream()
    at_once = [*whole.feed(songs[1]), *whole.finish()]
    pieces: list[Block] = []
    for begin in range(0, len(songs[1]), 7001):
        pieces += held.feed(songs[1][begin : begin + 7001])
        assert len(held._held) < 9 * SAMPLE_RATE, "memory is bounded"
    pieces += held.finish()
    assert [block.first for block in pieces] == [block.first for block in at_once]
    for one, other in zip(at_once, pieces, strict=True):
        np.testing.assert_allclose(one.contrasts, other.contrasts, atol=1e-4)
        np.testing.assert_array_equal(one.peak_frames, other.peak_frames)


def test_a_scanner_holds_little(index: ExactLandmarkIndex, songs: dict[int, FloatArray]) -> None:
    scanner = Scanner(index, SPACE)
    for part in (songs[1], between(30, 910), songs[2], between(30, 911)):
        scanner.feed(part)
        assert len(scanner._blocks) <= 4
        assert sum(len(line.peaks) for line in scanner._open) < 10_000
    assert scanner.seen_ms == 108_000
    assert [play.item_id for play in scanner._plays][:1] == [1], "what is long over keeps no peaks"
    assert 1 not in [line.item_id for line in scanner._drawn]
    assert [play.item_id for play in scanner.finish().plays] == [1, 2]


def sighting(begin: int, diagonal: int, *, item_id: int = 1, good: bool = True) -> Sighting:
    """One of 20 s, with a peak every other frame that stands out, or does not."""
    frames = np.arange(begin, begin + 860, 2, dtype=np.int32)
    evidence = np.full(len(frames), 0.4 if good else -0.1, np.float32)
    peaks = Peaks(frames, np.full(len(frames), 50, np.int32), evidence)
    chance = Chance(5.0, 1.0)
    return Sighting(item_id, diagonal, begin + 215, begin + 860, peaks, 30, 10, chance)


def test_lines_are_joined_at_one_diagonal_only() -> None:
    line = Line(sighting(1000, 50))
    assert line.continues(sighting(1215, 52))
    assert not line.continues(sighting(1215, 60)), "another moment of it"
    assert not line.continues(sighting(1215, 50, item_id=2))
    assert line.continues(sighting(1860 + 400, 50)), "after a pause of 9 s"
    assert not line.continues(sighting(1860 + 500, 50)), "it is another play after 12 s"
    line.add(sighting(1215, 52))
    drawn = line.drawn()
    assert drawn
    assert (drawn.begin, drawn.end) == (1000, 1215 + 859)
    assert (np.diff(drawn.peaks.frames) > 0).all(), "no peak is counted twice"


def test_what_does_not_agree_is_no_part_of_a_line() -> None:
    line = Line(sighting(1000, 0))
    line.add(sighting(1860 + 100, 0, good=False))
    drawn = line.drawn()
    assert drawn
    assert drawn.end == 1859
    assert drawn.in_track_ms(1000) == frames_to_ms(1000) + 46
    assert Line(sighting(0, 0, good=False)).drawn() is None


def test_lines_are_settled_together_with_what_they_overlap() -> None:
    def drawn(begin: int, item_id: int) -> Drawn:
        found = Line(sighting(begin, 0, item_id=item_id)).drawn()
        assert found
        return found

    one, beside, later = drawn(0, 1), drawn(300, 2), drawn(2000, 3)
    assert settle([later, beside, one], 1000) == ([], [one, beside, later])
    plays, left = settle([later, beside, one], 1500)
    assert [play.item_id for play in plays] == [1], "the others rest on the same peaks"
    assert left == [later]
    plays, left = settle([later], math.inf)
    assert ([play.item_id for play in plays], left) == ([3], [])


def test_gaps_overlaps_and_repeats() -> None:
    assert gaps_of(10_000, []) == [Stretch(0, 10_000)]
    assert gaps_of(10_000, [(500, 4000), (3000, 6000)]) == [Stretch(6000, 10_000)]
    assert gaps_of(0, []) == []
    assert overlaps_of([(0, 10), (10, 20)]) == []
    spans = [(0, 30), (10, 20), (15, 40)]
    assert overlaps_of(spans) == [
        Stretch(10, 15, (0, 1)),
        Stretch(15, 20, (0, 1, 2)),
        Stretch(20, 30, (0, 2)),
    ]
    assert repeats_of([7, 8, 7, 7]) == [1, 1, 2, 3]


@pytest.mark.exhaustive
def test_an_hour_with_ten_excerpts() -> None:
    """Of 5 s to two minutes; between them what is in no catalogue, and noise. Nothing else."""
    from benchmarks.scanning import make_mix

    songs = [made_song(seed, seconds=125) for seed in range(1000, 1010)]
    songs += [made_song(seed, seconds=24) for seed in range(1010, 1030)]
    strange = [made_song(seed, seconds=60) for seed in range(2000, 2030)]
    strange += [0.1 * np.random.default_rng(7).normal(size=30 * SAMPLE_RATE).astype(np.float32)]
    index = ExactLandmarkIndex()
    index.create_space(SPACE, TrackPayload.layout)
    entries = enumerate(map(analysed, songs), 1)
    index.upsert(SPACE, [LandmarkEntry(TrackPayload(track_id=n), one) for n, one in entries])
    mix, truths = make_mix(3, songs, strange, minutes=60)
    log = scan(np.array_split(mix, 3600), index, SPACE)
    assert abs(log.duration_ms - 3_600_000) < 10
    assert len(log.plays) == len(truths) == 10
    for play, truth in zip(log.plays, truths, strict=True):
        seconds = truth.start_ms / 1000, truth.end_ms / 1000, truth.track_start_ms / 1000
        assert play.item_id == truth.item_id
        assert abs(play.start_ms - truth.start_ms) < 1000, seconds
        assert abs(play.end_ms - truth.end_ms) < 1000, seconds
