"""Which tracks of an index are the same master as a recording: re-encoded, trimmed, part of it,
louder, equalised or sped up. By the share of aligned landmarks, never by a mere likeness."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from audiosearch.engine.analyzers.landmarks.representation import Landmarks
from audiosearch.engine.analyzers.landmarks.spectrum import HOP, SAMPLE_RATE, frames_to_ms
from audiosearch.engine.discovery.alignment import (
    AS_RECORDED,
    Alignment,
    Hashed,
    align,
    at_speed,
    to_look_up,
)
from audiosearch.engine.indexes.filters import TrackFilter
from audiosearch.engine.indexes.landmarks_base import PER_ITEM, LandmarkIndex, LandmarkQuery

LEAST_SHARE = 0.10
FRAMES_PER_S = SAMPLE_RATE / HOP
SHORTEST_S = 1.0
FEWEST_HASHES = 30
FEWEST_BINS = 12
"""Frequencies of a recording's landmarks; steady tones have fewer."""
FEWEST_ALIGNED = 16
SHORTEST_STRETCH_S = 5.0
WHOLE = 0.8
"""A stretch may be shorter where it is so much of a recording that is short itself."""
LEAST_SHARE_AT_SPEED = 0.14
"""Where near hashes count as well, strangers have more in common."""
CHUNK_FRAMES = 1024
"""So much is looked up at once: 24 s."""
EVERY = 3
"""Of a chunk one hash in so many is looked up: copies agree in more than are needed."""
TRACKS = 4
TOP = 2 * TRACKS
"""Places that are asked for, besides those that are the recording's own, as recorded."""
FEWEST_VOTES, LEAST_VOTES, LEAST_VOTES_AT_SPEED = 8.0, 0.03, 0.015
"""What makes a candidate: so many votes, and such a share of the hashes that are looked up."""
FASTER = tuple(1 + 0.01 * step for step in range(1, 8))
SLOWER = tuple(1 - 0.01 * step for step in range(1, 8))
LADDER_FRAMES = 345
"""8 s: between two rungs that is 2 frames off at the ends."""


@dataclass(frozen=True)
class Duplicate:
    """A track of the index that shares a stretch with a recording.

    start_ms, end_ms: of the stretch in the recording; other_…: in the track; speed: of the
    recording against the track; aligned, of: how many of its landmarks in there are the track's.
    """

    item_id: int
    share: float
    aligned: int
    of: int
    start_ms: int
    end_ms: int
    other_start_ms: int
    other_end_ms: int
    speed: float


@dataclass(frozen=True)
class _Candidate:
    item_id: int
    offset: float
    speed: float
    votes: float


def find_duplicates(
    landmarks: Landmarks,
    index: LandmarkIndex,
    space: str,
    load: Callable[[int], Landmarks | None],
    *,
    where: TrackFilter = TrackFilter(),  # noqa: B008  frozen
    own_id: int = 0,
    ladder: Sequence[float] = (*FASTER, *SLOWER),
) -> list[Duplicate]:
    """The tracks that are the same master as this recording, or part of it, by share.

    load: the kept landmarks of a track, None where there are none; own_id: the recording's own
    track; ladder: speeds that are tried besides. Silence, steady tones and what is shorter than
    SHORTEST_S have no duplicates. Raises IndexUnavailable and SpaceMissing.
    """
    if is_unfit(landmarks):
        return []
    found: dict[int, Duplicate] = {}
    for candidate in _candidates(landmarks, index, space, where, own_id, ladder):
        other = load(candidate.item_id)
        if other is None:
            continue
        aligned = align(landmarks, to_look_up(other), candidate.offset, candidate.speed)
        if aligned is None or not _is_evidence(aligned, landmarks, other):
            continue
        best = found.get(candidate.item_id)
        if best is None or aligned.aligned > best.aligned:
            found[candidate.item_id] = _duplicate(candidate.item_id, aligned)
    return sorted(found.values(), key=lambda one: -one.share)


def is_unfit(landmarks: Landmarks) -> bool:
    """Whether a recording has too little in it to be told from others by."""
    too_short = landmarks.length[0] < SHORTEST_S * FRAMES_PER_S
    if too_short or len(np.unique(landmarks.bins)) < FEWEST_BINS:
        return True
    return len(at_speed(landmarks, 1.0).hashes) < FEWEST_HASHES


def _is_evidence(found: Alignment, one: Landmarks, other: Landmarks) -> bool:
    seconds = (found.end - found.begin) / FRAMES_PER_S
    shorter = min(int(one.length[0]), int(other.length[0])) / FRAMES_PER_S
    long_enough = seconds >= min(SHORTEST_STRETCH_S, WHOLE * shorter)
    least = LEAST_SHARE if abs(found.speed - 1) < AS_RECORDED else LEAST_SHARE_AT_SPEED
    return long_enough and found.share >= least and found.aligned >= FEWEST_ALIGNED


def _duplicate(item_id: int, found: Alignment) -> Duplicate:
    return Duplicate(
        item_id=item_id,
        share=found.share,
        aligned=found.aligned,
        of=found.of,
        start_ms=max(0, frames_to_ms(found.begin)),
        end_ms=max(0, frames_to_ms(found.end)),
        other_start_ms=max(0, frames_to_ms(found.other_begin)),
        other_end_ms=max(0, frames_to_ms(found.other_end)),
        speed=found.speed,
    )


def _candidates(
    landmarks: Landmarks,
    index: LandmarkIndex,
    space: str,
    where: TrackFilter,
    own_id: int,
    ladder: Sequence[float],
) -> list[_Candidate]:
    """The likeliest place of each of the likeliest tracks, as recorded and at other speeds."""
    best: dict[int, _Candidate] = {}

    def ask(query: LandmarkQuery, begin: int, speed: float) -> None:
        share = LEAST_VOTES if speed == 1 else LEAST_VOTES_AT_SPEED
        least = max(FEWEST_VOTES, share * len(query.hashes))
        own = PER_ITEM if speed == 1 and own_id else 0
        places = index.candidates(space, query, TOP + own, where)
        seen = set[int]()
        for item_id, offset, votes in zip(
            places.item_ids.tolist(), places.offsets.tolist(), places.votes.tolist(), strict=True
        ):
            if votes < least or len(seen) >= TRACKS:
                break
            if item_id == own_id or item_id in seen:
                continue
            seen.add(item_id)
            if item_id not in best or votes > best[item_id].votes:
                best[item_id] = _Candidate(item_id, offset - begin, speed, votes)

    for begin, query in _chunks(at_speed(landmarks, 1.0), CHUNK_FRAMES):
        ask(query, begin, 1.0)
    middle = _middle(landmarks)
    for speed in ladder:
        hashed = at_speed(middle, speed)
        if len(hashed.firsts):
            begin = int(hashed.firsts[0])
            ask(_query(hashed, begin, LADDER_FRAMES), begin, speed)
    return list(best.values())


def _chunks(hashed: Hashed, frames: int) -> Iterator[tuple[int, LandmarkQuery]]:
    """The frame at which each begins, and its hashes."""
    last = int(hashed.firsts[-1]) + 1 if len(hashed.firsts) else 0
    for begin in range(0, last, frames):
        yield begin, _query(hashed, begin, frames, EVERY)


def _middle(landmarks: Landmarks) -> Landmarks:
    """What the ladder is asked with."""
    begin = max(0, (int(landmarks.length[0]) - LADDER_FRAMES) // 2)
    low, high = np.searchsorted(landmarks.frames, [begin, begin + LADDER_FRAMES])
    own = slice(int(low), int(high))
    return Landmarks(
        landmarks.frames[own], landmarks.bins[own], landmarks.ranks[own], landmarks.length
    )


def _query(hashed: Hashed, begin: int, frames: int, every: int = 1) -> LandmarkQuery:
    low, high = np.searchsorted(hashed.firsts, [begin, begin + frames])
    own = slice(int(low), int(high), every)
    hashes = hashed.hashes[own]
    firsts = (hashed.firsts[own] - begin).astype(np.int32)
    return LandmarkQuery(hashes, firsts, np.ones(len(hashes), np.float32), frames)
