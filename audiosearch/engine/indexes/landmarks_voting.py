"""Segments of postings, and how a query votes in one: what all landmark indexes share."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from audiosearch.engine.analyzers.landmarks.hashes import hashes_of
from audiosearch.engine.analyzers.landmarks.representation import Landmarks
from audiosearch.engine.arrays import BoolArray
from audiosearch.engine.indexes.landmarks_base import (
    LONGEST_QUERY,
    MARGIN,
    PER_ITEM,
    STRETCH,
    Candidates,
    LandmarkQuery,
)

Bounds = tuple[NDArray[np.int64], NDArray[np.int64]]
Number = TypeVar("Number", bound=np.generic)
BLOCK = 256
"""Frames; tracks begin with a block, so that a table tells whose a block is."""
GAP = 2 * LONGEST_QUERY
"""Frames between tracks at least, so that no offset belongs to two."""
MOST_POSTINGS = 50_000
"""Of one hash; one that is more common says nothing."""
MOST_VOTES = 2_000_000
"""Of all hashes of a query: from some 600 h on, the most common ones of 10 s are left out, so that
a larger catalogue takes no longer. At 1,000 h nothing was missed by that, in noise of 8 dB more."""
LIKE_CATALOGUE = 1_000_000
"""Postings of 5.5 h: in smaller catalogues hashes are as rare as they would be in this one."""
WEIGHT_UNIT = 16
BIN_BITS = 9
BIN_MASK = (1 << BIN_BITS) - 1
EVERY_BLOCK: BoolArray = np.zeros(0, np.bool_)
TOLERANCE_FRAMES, APART_FRAMES = 2, 6
SPARE = 10, 100
"""Times as many offsets are looked at as are asked for, as many lie beside another one. Those with
a vote or two are a hundred times as many again, and seldom needed."""


@dataclass(frozen=True)
class Segment:
    """Tracks laid out one behind the other; arrays may be mapped from files.

    item_ids: (tracks,) int64; starts: (tracks,) int64, frame at which each begins; blocks: (n,)
    int32, the track of each BLOCK frames; hashes: (postings,) uint32, ascending, with posts,
    uint32, the frame of each; peak_frames: (peaks,) uint32, ascending, with peak_bins, uint16, as
    of `bins_and_ranks`.
    """

    item_ids: NDArray[np.int64]
    starts: NDArray[np.int64]
    blocks: NDArray[np.int32]
    hashes: NDArray[np.uint32]
    posts: NDArray[np.uint32]
    peak_frames: NDArray[np.uint32]
    peak_bins: NDArray[np.uint16]

    @property
    def nbytes(self) -> int:
        """Size of all arrays."""
        return sum(array.nbytes for array in vars(self).values())


def lay_out(tracks: Iterable[tuple[int, Landmarks]]) -> Segment:
    """The segment of these tracks, given by their ids."""
    ids, starts, blocks, hashes, posts, frames, bins = [], [], [], [], [], [], []
    end = 0
    for number, (item_id, landmarks) in enumerate(tracks):
        taken = -(-(int(landmarks.length[0]) + GAP) // BLOCK)
        own_hashes, own_frames = hashes_of(landmarks)
        ids.append(item_id)
        starts.append(end)
        blocks.append(np.full(taken, number, np.int32))
        hashes.append(own_hashes)
        posts.append((own_frames + np.int64(end)).astype(np.uint32))
        frames.append((landmarks.frames + np.int64(end)).astype(np.uint32))
        bins.append(bins_and_ranks(landmarks))
        end += taken * BLOCK
    unsorted = _joined(hashes, np.uint32)
    order = np.argsort(unsorted, kind="stable")
    segment = Segment(
        np.array(ids, np.int64),
        np.array(starts, np.int64),
        _joined(blocks, np.int32),
        unsorted[order],
        _joined(posts, np.uint32)[order],
        _joined(frames, np.uint32),
        _joined(bins, np.uint16),
    )
    for array in vars(segment).values():
        array.flags.writeable = False  # as mapped ones: what is compiled for them fits these too
    return segment


def bins_and_ranks(landmarks: Landmarks) -> NDArray[np.uint16]:
    """Of each peak the bin, and above its BIN_BITS the rank.

    Segments written before had no ranks there: all peaks of those count the same until a rebuild.
    """
    ranks = landmarks.ranks.astype(np.uint16)
    return np.asarray(landmarks.bins | (ranks << BIN_BITS), np.uint16)


def posting_bounds(hashes: NDArray[np.uint32], wanted: NDArray[np.int64]) -> Bounds:
    """Where the postings of each wanted hash begin and end among ascending `hashes`."""
    from audiosearch.engine.indexes.landmarks_kernels import find_postings

    return find_postings(hashes, wanted)


def opened_blocks(segment: Segment, allowed: BoolArray) -> BoolArray:
    """(blocks,) which blocks are of `allowed` tracks, (tracks,); EVERY_BLOCK where all are."""
    if allowed.all():
        return EVERY_BLOCK
    return np.take(allowed, segment.blocks, mode="clip")  # a damaged file may hold any number


def count_postings(segment: Segment, bounds: Bounds, opened: BoolArray) -> NDArray[np.int64]:
    """How many postings in `opened` blocks each hash has within these bounds."""
    lows, highs = bounds
    if opened is EVERY_BLOCK:
        return highs - lows
    from audiosearch.engine.indexes import landmarks_kernels as kernels

    return kernels.count_opened(lows, highs, segment.posts, opened)


def weigh(query: LandmarkQuery, found: NDArray[np.int64], postings: int) -> NDArray[np.int64]:
    """What each posting of each of the query's hashes counts, in WEIGHT_UNITths; 0 to 16.

    Rare hashes count more. found: (n,) how many postings each hash has in what may be found, in
    all segments of a space, lest votes tell of what is hidden; postings: all of the space.
    """
    commonness = np.maximum(found, 1) / max(postings, LIKE_CATALOGUE)
    rarity = np.clip((-np.log(commonness) - 6) / 8, 0.15, 1)
    weights = np.rint(query.weights * rarity * WEIGHT_UNIT).astype(np.int64)
    weights[found > MOST_POSTINGS] = 0
    if found.sum() > MOST_VOTES:
        rarest_first = np.argsort(found, kind="stable")
        weights[rarest_first[np.cumsum(found[rarest_first]) > MOST_VOTES]] = 0
    return weights


def vote(
    segment: Segment,
    bounds: Bounds,
    query: LandmarkQuery,
    weights: NDArray[np.int64],
    top: int,
    opened: BoolArray,
) -> Candidates:
    """The `top` places of a segment with most votes.

    bounds: where the postings of each of the query's hashes begin and end; weights: of `weigh`;
    opened: of `opened_blocks`.
    """
    from audiosearch.engine.indexes import landmarks_kernels as kernels

    lows, highs = bounds
    blocks = len(segment.blocks)
    room = kernels.room_for_keys(int((highs - lows)[weights > 0].sum()), blocks * BLOCK)
    hits = (lows, highs, query.frames, weights)
    keys = kernels.gather_votes(*hits, segment.posts, blocks, opened, room)
    keys.sort()
    sums = kernels.sum_votes(keys, TOLERANCE_FRAMES)
    for least in _floors(sums, top):
        offsets, votes = kernels.separate_offsets(keys, sums, APART_FRAMES, least)
        kept, tracks = kernels.cap_tracks(offsets, votes, segment.starts, query.length, PER_ITEM)
        if len(kept) >= top:
            break
    best = _best(votes[kept], top)
    chosen = kept[best]
    counted = (votes[chosen] / WEIGHT_UNIT).astype(np.float32)
    return _candidates(segment, query, offsets[chosen], counted, tracks[best])


def merge(parts: list[Candidates], top: int) -> Candidates:
    """The `top` places with most votes of several segments."""
    if len(parts) == 1:
        return parts[0]
    votes = np.concatenate([part.votes for part in parts])
    order = _best(votes, top)
    begins = np.cumsum([0, *(len(part.peak_frames) for part in parts)])[:-1]
    spans = [part.peak_starts + begin for part, begin in zip(parts, begins, strict=True)]
    lows = np.concatenate([span[:-1] for span in spans])[order]
    highs = np.concatenate([span[1:] for span in spans])[order]
    chosen, peak_starts = _ranges(lows, highs)
    return Candidates(
        np.concatenate([part.item_ids for part in parts])[order],
        np.concatenate([part.offsets for part in parts])[order],
        votes[order],
        peak_starts,
        np.concatenate([part.peak_frames for part in parts])[chosen],
        np.concatenate([part.peak_bins for part in parts])[chosen],
        np.concatenate([part.peak_ranks for part in parts])[chosen],
    )


def no_candidates() -> Candidates:
    """What an empty space answers."""
    none, ranks = np.zeros(0, np.int32), np.zeros(0, np.uint8)
    votes, peak_starts = np.zeros(0, np.float32), np.zeros(1, np.int64)
    return Candidates(np.zeros(0, np.int64), none, votes, peak_starts, none, none, ranks)


def _candidates(
    segment: Segment,
    query: LandmarkQuery,
    places: NDArray[np.int64],
    votes: NDArray[np.float32],
    tracks: NDArray[np.int64],
) -> Candidates:
    from audiosearch.engine.indexes.landmarks_kernels import find_spans

    begins = segment.starts[tracks]
    reach = int(query.length * STRETCH) + MARGIN
    lows = np.maximum(places - MARGIN, begins)
    begin, end = find_spans(segment.peak_frames, lows, np.maximum(places + reach, lows))
    chosen, peak_starts = _ranges(begin, end)
    frames = segment.peak_frames[chosen].astype(np.int64) - np.repeat(places, end - begin)
    bins = segment.peak_bins[chosen]
    return Candidates(
        segment.item_ids[tracks],
        (places - begins).astype(np.int32),
        votes,
        peak_starts,
        frames.astype(np.int32),
        (bins & BIN_MASK).astype(np.int32),
        (bins >> BIN_BITS).astype(np.uint8),
    )


def _floors(sums: NDArray[np.int64], top: int) -> Iterator[int]:
    """Votes that so many times `top` offsets reach, then more of them, and at last all."""
    reached = np.cumsum(np.bincount(sums)[::-1])[::-1]  # by how many, each number of votes
    for times in SPARE:
        if times * top < len(sums):
            yield int(np.searchsorted(-reached, -times * top, side="right")) - 1
    yield 0


def _best(votes: NDArray[np.generic], top: int) -> NDArray[np.int64]:
    """Indices of the `top` highest, the highest first; of equal ones the earlier."""
    lowered = -votes.astype(np.float64)
    if top >= len(lowered):
        return np.argsort(lowered, kind="stable")
    reached = np.flatnonzero(lowered <= np.partition(lowered, top - 1)[top - 1])
    return reached[np.argsort(lowered[reached], kind="stable")][:top]


def _ranges(
    lows: NDArray[np.int64], highs: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """All indices from each low to before each high, and where each range begins among them."""
    sizes = highs - lows
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    return np.arange(starts[-1]) + np.repeat(lows - starts[:-1], sizes), starts


def _joined(arrays: Sequence[NDArray[Number]], dtype: type[Number]) -> NDArray[Number]:
    return np.concatenate([*arrays, np.zeros(0, dtype)])
