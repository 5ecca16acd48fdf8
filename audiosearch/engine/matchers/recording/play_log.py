"""The play log of a long recording: its plays, and what follows from them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from audiosearch.engine.analyzers.landmarks.spectrum import frames_to_ms
from audiosearch.engine.matchers.recording.lines import HALF_WINDOW_MS, Drawn

SAME_FRAMES, SAME_BINS = 2, 3
COPY_SHARE = 0.3
"""Of the peaks of two tracks that fall on each other; of other recordings a few hundredths do."""
COVERED_SHARE = 0.5
SHORTEST_GAP_MS = 1000


@dataclass(frozen=True)
class Copy:
    """Another track that holds the same recording as one that was played."""

    item_id: int
    track_start_ms: int
    track_end_ms: int


@dataclass(frozen=True)
class Play:
    """A stretch of a long recording in which a track was played.

    start_ms, end_ms: in the recording; track_start_ms, track_end_ms: in the track; speed: the
    recording's, 1.0 as the track; aligned, of: how many of the track's landmarks in there stand
    out; score: standard deviations above chance; copies: tracks of which the same is true.
    """

    start_ms: int
    end_ms: int
    item_id: int
    track_start_ms: int
    track_end_ms: int
    speed: float
    probability: float
    aligned: int
    of: int
    score: float
    copies: tuple[Copy, ...] = ()


@dataclass(frozen=True)
class Stretch:
    """A part of a recording; plays: numbers, from 0, of those that go on in it."""

    start_ms: int
    end_ms: int
    plays: tuple[int, ...] = ()


@dataclass(frozen=True)
class PlayLog:
    """plays: by their start."""

    duration_ms: int
    plays: list[Play] = field(default_factory=list)


def gaps_of(duration_ms: int, spans: Sequence[tuple[int, int]]) -> list[Stretch]:
    """The stretches of a second or more that no span, (start, end) in ms, covers."""
    found, at = [], 0
    for start, end in sorted(spans):
        if start - at >= SHORTEST_GAP_MS:
            found.append(Stretch(at, start))
        at = max(at, end)
    if duration_ms - at >= SHORTEST_GAP_MS:
        found.append(Stretch(at, duration_ms))
    return found


def overlaps_of(spans: Sequence[tuple[int, int]]) -> list[Stretch]:
    """The stretches that several spans, (start, end) in ms, have in common."""
    edges = sorted({edge for span in spans for edge in span})
    found = []
    for start, end in pairwise(edges):
        inside = tuple(n for n, span in enumerate(spans) if span[0] <= start and span[1] >= end)
        if len(inside) > 1:
            found.append(Stretch(start, end, inside))
    return found


def repeats_of(item_ids: Sequence[int]) -> list[int]:
    """For each play the how manieth of its track it is, from 1."""
    counts: Counter[int] = Counter()
    found = []
    for item_id in item_ids:
        counts[item_id] += 1
        found.append(counts[item_id])
    return found


def settle(drawn: Sequence[Drawn], before: float) -> tuple[list[Play], list[Drawn]]:
    """The plays of lines that none beginning at the frame `before` or later goes on beside, nor
    beside what goes on beside them; and the lines that are left."""
    done: list[Drawn] = []
    left: list[Drawn] = []
    group: list[Drawn] = []
    for line in sorted(drawn, key=lambda line: line.begin):
        if line.begin >= _reach(group):
            (done if _reach(group) <= before else left).extend(group)
            group = []
        group.append(line)
    (done if _reach(group) <= before else left).extend(group)
    return plays_of(done), left


def _reach(lines: list[Drawn]) -> int:
    return max((line.end for line in lines), default=0)


def plays_of(drawn: Sequence[Drawn]) -> list[Play]:
    """Lines as plays: of a track that repeats the best of those at once, and copies as one."""
    kept: list[tuple[Drawn, list[Drawn]]] = []
    for line in sorted(drawn, key=lambda line: -line.score):
        rivals = [(best, copies) for best, copies in kept if _covered(line, best) > COVERED_SHARE]
        if any(line.item_id in (best.item_id, *_ids(copies)) for best, copies in rivals):
            continue
        same = next((copies for best, copies in rivals if _coincide(line, best)), None)
        if same is None:
            kept.append((line, []))
        else:
            same.append(line)
    return [_play(*each) for each in sorted(kept, key=lambda each: each[0].begin)]


def _ids(lines: list[Drawn]) -> list[int]:
    return [line.item_id for line in lines]


def _covered(line: Drawn, by: Drawn) -> float:
    """The share of a line that another goes on beside."""
    common = min(line.end, by.end) - max(line.begin, by.begin)
    return common / (line.end - line.begin)


def _coincide(one: Drawn, other: Drawn) -> bool:
    """Whether two lines rest on the same peaks of the sound, as those of copies do."""
    begin, end = max(one.begin, other.begin), min(one.end, other.end)
    own, its = one.peaks.between(begin, end), other.peaks.between(begin, end)
    lows, highs = (
        np.searchsorted(its.frames, own.frames + step) for step in (-SAME_FRAMES, SAME_FRAMES + 1)
    )
    same = sum(
        bool((abs(its.bins[low:high] - at) <= SAME_BINS).any())
        for low, high, at in zip(lows, highs, own.bins, strict=True)
    )
    return same > COPY_SHARE * len(own)


def _play(line: Drawn, copies: list[Drawn]) -> Play:
    return Play(
        start_ms=frames_to_ms(line.begin) + HALF_WINDOW_MS,
        end_ms=frames_to_ms(line.end) + HALF_WINDOW_MS,
        item_id=line.item_id,
        track_start_ms=line.in_track_ms(line.begin),
        track_end_ms=line.in_track_ms(line.end),
        speed=line.speed,
        probability=line.probability,
        aligned=line.aligned,
        of=len(line.peaks),
        score=line.score,
        copies=tuple(
            Copy(copy.item_id, copy.in_track_ms(line.begin), copy.in_track_ms(line.end))
            for copy in copies
        ),
    )
