"""Landmarks as thin windows, each a sparse vector: a first look where there are no postings.

A window says that a query has something in common with five seconds of a track, not where: that
is found by voting among the landmarks around the best windows.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from audiosearch.engine.analyzers.landmarks.hashes import HASHES, hash_pairs
from audiosearch.engine.analyzers.landmarks.representation import Landmarks
from audiosearch.engine.indexes.landmarks_base import (
    MARGIN,
    PER_ITEM,
    STRETCH,
    Candidates,
    LandmarkQuery,
)
from audiosearch.engine.indexes.landmarks_voting import (
    EVERY_BLOCK,
    lay_out,
    no_candidates,
    posting_bounds,
    vote,
    weigh,
)

WINDOW_FRAMES = 215
"""5 s; windows do not overlap."""
PEAKS_PER_SECOND, FAN = 12, 2
NOTHING = HASHES
"""The one dimension of the first window of a track without hashes; no query has it."""
Sparse = dict[int, float]


def thin_windows(landmarks: Landmarks) -> Iterator[tuple[int, Sparse]]:
    """Number and sparse vector of each window that has hashes, and always of window 0."""
    chosen = landmarks.ranks < PEAKS_PER_SECOND
    hashes, frames = hash_pairs(landmarks.frames[chosen], landmarks.bins[chosen], FAN)
    numbers = frames // WINDOW_FRAMES
    for number in np.union1d(numbers, [0]).tolist():
        found = np.unique(hashes[numbers == number]).tolist()
        yield number, dict.fromkeys(found or [NOTHING], 1.0)


def query_vector(query: LandmarkQuery) -> Sparse:
    """The query's hashes as a sparse vector; of a hash that comes often the greatest weight."""
    order = np.argsort(query.weights, kind="stable")
    pairs = zip(query.hashes[order].tolist(), query.weights[order].tolist(), strict=True)
    return {hash_: weight for hash_, weight in pairs if 0 <= hash_ < HASHES and weight > 0}


@dataclass(frozen=True)
class Stretch:
    """A part of a track, from a frame on, which may be before its beginning."""

    item_id: int
    first: int
    landmarks: Landmarks


def vote_around(
    windows: Iterable[tuple[int, int]],
    kept: Mapping[int, Landmarks],
    query: LandmarkQuery,
    top: int,
) -> Candidates:
    """The `top` places with most votes around these windows, PER_ITEM of a track at most.

    windows: item and number of each; kept: the landmarks of all items that are still there.
    """
    stretches = list(_stretches(windows, kept, query.length))
    if not stretches:
        return no_candidates()
    segment = lay_out((number, each.landmarks) for number, each in enumerate(stretches))
    lows, highs = posting_bounds(segment.hashes, query.hashes)
    weights = weigh(query, highs - lows, len(segment.posts))
    most = len(stretches) * PER_ITEM
    found = vote(segment, (lows, highs), query, weights, most, EVERY_BLOCK)
    firsts = np.asarray([each.first for each in stretches], np.int64)[found.item_ids]
    items = np.asarray([each.item_id for each in stretches], np.int64)[found.item_ids]
    offsets = (found.offsets + firsts).astype(np.int32)
    return _first_of_each(replace(found, item_ids=items, offsets=offsets), top)


def _stretches(
    windows: Iterable[tuple[int, int]], kept: Mapping[int, Landmarks], length: int
) -> Iterator[Stretch]:
    """What a query may cover that has something of these windows, overlapping parts as one."""
    numbers: dict[int, set[int]] = defaultdict(set)
    for item, number in windows:
        numbers[item].add(number)
    before, behind = length + MARGIN, int(length * STRETCH) + MARGIN
    for item, own in numbers.items():
        if item not in kept:
            continue
        first = last = None
        for number in sorted(own):
            low = number * WINDOW_FRAMES - before
            if first is not None and last is not None and low > last:
                yield _cut(item, kept[item], first, last)
                first = None
            first = low if first is None else first
            last = (number + 1) * WINDOW_FRAMES + behind
        if first is not None and last is not None:
            yield _cut(item, kept[item], first, last)


def _cut(item: int, landmarks: Landmarks, first: int, last: int) -> Stretch:
    inside = slice(*np.searchsorted(landmarks.frames, np.asarray([first, last], np.int32)))
    part = Landmarks(
        (landmarks.frames[inside] - first).astype(np.int32),
        landmarks.bins[inside],
        landmarks.ranks[inside],
        np.asarray([last - first], np.int32),
    )
    return Stretch(item, first, part)


def _first_of_each(found: Candidates, top: int) -> Candidates:
    """The first `top` candidates, and of those of one item only the first PER_ITEM."""
    taken: dict[int, int] = defaultdict(int)
    chosen: list[int] = []
    for number, item in enumerate(found.item_ids.tolist()):
        if len(chosen) < top and taken[item] < PER_ITEM:
            taken[item] += 1
            chosen.append(number)
    spans = [slice(*found.peak_starts[number : number + 2]) for number in chosen]
    sizes = [0, *(span.stop - span.start for span in spans)]
    return Candidates(
        found.item_ids[chosen],
        found.offsets[chosen],
        found.votes[chosen],
        np.cumsum(sizes).astype(np.int64),
        _joined([found.peak_frames[span] for span in spans]),
        _joined([found.peak_bins[span] for span in spans]),
        np.concatenate([np.zeros(0, np.uint8), *(found.peak_ranks[span] for span in spans)]),
    )


def _joined(parts: list[NDArray[np.int32]]) -> NDArray[np.int32]:
    return np.concatenate([np.zeros(0, np.int32), *parts])
