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
from audiosearch.engine.indexes.landmarks_base import (
    PER_ITEM,
    Candidates,
    LandmarkIndex,
    LandmarkQuery,
)

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
"""Places that are asked for, besides those that are the recording's own."""
FEWEST_VOTES, LEAST_VOTES, LEAST_VOTES_AT_SPEED = 8.0, 0.03, 0.015
"""What makes a candidate: so many votes, and such a share of the hashes that are looked up."""
FASTER = tuple(1 + 0.01 * step for step in range(1, 8))
SLOWER = tuple(1 - 0.01 * step for step in range(1, 8))
LADDER_FRAMES = 345
"""8 s: between two rungs that is 2 frames off at the ends."""
RUNG_FRAMES, AT_ONCE = 400, 7
"""Where one rung begins behind another, and how many of them make a query."""


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
        if candidate.speed != 1 and abs(aligned.speed - 1) < AS_RECORDED:
            continue  # near hashes count in it; as recorded the exact ones tell
        best = found.get(candidate.item_id)
        if best is None or aligned.aligned > best.aligned:
            found[candidate.item_id] = _duplicate(candidate.item_id, aligned)
    return sorted(found.values(), key=lambda one: -one.share)


def is_still_one(landmarks: Landmarks, other: Landmarks, known: Duplicate) -> bool:
    """Whether a recording and a track still share what was found of them before."""
    speed = 1.0 if abs(known.speed - 1) < AS_RECORDED else known.speed
    begin_ms = known.other_start_ms - known.start_ms * speed
    aligned = align(landmarks, to_look_up(other), begin_ms / 1000 * FRAMES_PER_S, speed)
    return aligned is not None and _is_evidence(aligned, landmarks, other)


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
    """The likeliest place of each of the likeliest tracks as recorded; then those of the ladder."""
    best: dict[int, _Candidate] = {}
    top = TOP + (PER_ITEM if own_id else 0)
    for begin, query in _chunks(at_speed(landmarks, 1.0), CHUNK_FRAMES):
        least = max(FEWEST_VOTES, LEAST_VOTES * len(query.hashes))
        places = index.candidates(space, query, top, where)
        for item_id, offset, votes in _likeliest(places, least, own_id):
            if item_id not in best or votes > best[item_id].votes:
                best[item_id] = _Candidate(item_id, offset - begin, 1.0, votes)
    found = list(best.values())
    middle = _middle(landmarks)
    for first in range(0, len(ladder), AT_ONCE):
        rungs = ladder[first : first + AT_ONCE]
        query = _ladder_query(middle, rungs)
        least = max(FEWEST_VOTES, LEAST_VOTES_AT_SPEED * len(query.hashes) / len(rungs))
        places = index.candidates(space, query, top, where)
        for item_id, offset, votes in _likeliest(places, least, own_id):
            found += [  # which rung it was, the alignment tells
                _Candidate(
                    item_id,
                    offset + number * RUNG_FRAMES - _begin(middle, speed),
                    speed,
                    votes,
                )
                for number, speed in enumerate(rungs)
            ]
    return found


def _likeliest(places: Candidates, least: float, own_id: int) -> Iterator[tuple[int, int, float]]:
    """Id, offset and votes of the best place of each of the best TRACKS tracks."""
    seen = set[int]()
    columns = places.item_ids.tolist(), places.offsets.tolist(), places.votes.tolist()
    for item_id, offset, votes in zip(*columns, strict=True):
        if votes < least or len(seen) == TRACKS:
            return
        if item_id != own_id and item_id not in seen:
            seen.add(item_id)
            yield item_id, offset, votes


def _chunks(hashed: Hashed, frames: int) -> Iterator[tuple[int, LandmarkQuery]]:
    """The frame at which each begins, and its hashes."""
    last = int(hashed.firsts[-1]) + 1 if len(hashed.firsts) else 0
    for begin in range(0, last, frames):
        yield begin, _query(hashed, begin, frames)


def _middle(landmarks: Landmarks) -> Landmarks:
    """What the ladder is asked with."""
    begin = max(0, (int(landmarks.length[0]) - LADDER_FRAMES) // 2)
    low, high = np.searchsorted(landmarks.frames, [begin, begin + LADDER_FRAMES])
    own = slice(int(low), int(high))
    return Landmarks(
        landmarks.frames[own], landmarks.bins[own], landmarks.ranks[own], landmarks.length
    )


def _begin(middle: Landmarks, speed: float) -> int:
    return int(middle.frames[0] * speed) if len(middle.frames) else 0


def _ladder_query(middle: Landmarks, rungs: Sequence[float]) -> LandmarkQuery:
    """One stretch at several speeds, one behind the other, as asking costs something itself."""
    hashes, firsts = [], []
    for number, speed in enumerate(rungs):
        hashed = at_speed(middle, speed)
        hashes.append(hashed.hashes)
        firsts.append(hashed.firsts - _begin(middle, speed) + number * RUNG_FRAMES)
    joined = np.concatenate(hashes)
    return LandmarkQuery(
        joined,
        np.concatenate(firsts).astype(np.int32),
        np.ones(len(joined), np.float32),
        len(rungs) * RUNG_FRAMES,
    )


def _query(hashed: Hashed, begin: int, frames: int) -> LandmarkQuery:
    low, high = np.searchsorted(hashed.firsts, [begin, begin + frames])
    own = slice(int(low), int(high), EVERY)
    hashes = hashed.hashes[own]
    firsts = (hashed.firsts[own] - begin).astype(np.int32)
    return LandmarkQuery(hashes, firsts, np.ones(len(hashes), np.float32), frames)
