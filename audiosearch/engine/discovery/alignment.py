"""How far two recordings are one: the share of landmarks that lie on one line of time."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audiosearch.engine.analyzers.landmarks.hashes import (
    FAN,
    HASHED_PER_SECOND,
    HASHES,
    NEIGHBOURS,
    hash_pairs,
)
from audiosearch.engine.analyzers.landmarks.representation import Landmarks
from audiosearch.engine.analyzers.landmarks.spectrum import HIGH_BIN, LOW_BIN

TOLERANCE_FRAMES = 2
AS_RECORDED, OTHER_SPEED = 0.0015, 0.007
"""How far the speed may be off what is asked for: by clocks of recorders, or between two rungs."""
REACH_FRAMES = 8
BACKGROUND = 0.05
"""Where less than this share is aligned, recordings are taken for different ones."""


@dataclass(frozen=True)
class Hashed:
    """Hashes of a recording at a speed.

    hashes: (n,) int64; firsts: (n,) int64, ascending, the frame at that speed at which each begins.
    """

    hashes: NDArray[np.int64]
    firsts: NDArray[np.int64]


@dataclass(frozen=True)
class Sorted:
    """Hashes to look up in: ascending (n,) uint32, and the frame of each, (n,) int32."""

    hashes: NDArray[np.uint32]
    firsts: NDArray[np.int32]


@dataclass(frozen=True)
class Alignment:
    """A stretch in which two recordings agree.

    begin, end: frames of the one; other_begin, other_end: of the other; speed: of the one against
    the other, above 1 it is the faster; aligned, of: how many of the one's landmarks in there.
    """

    begin: float
    end: float
    other_begin: float
    other_end: float
    speed: float
    aligned: int
    of: int

    @property
    def share(self) -> float:
        return self.aligned / max(self.of, 1)


def at_speed(landmarks: Landmarks, speed: float) -> Hashed:
    """The hashes that a recording would have if it were played 1 / `speed` as fast."""
    chosen = landmarks.ranks < HASHED_PER_SECOND
    frames, bins = landmarks.frames[chosen], landmarks.bins[chosen].astype(np.int32)
    if speed != 1:
        frames = np.rint(frames * speed).astype(np.int32)
        bins = np.rint(bins / speed).astype(np.int32)
        order = np.lexsort((bins, frames))
        order = order[(bins[order] >= LOW_BIN) & (bins[order] < HIGH_BIN)]
        frames, bins = frames[order], bins[order]
    hashes, firsts = hash_pairs(frames, bins, FAN)
    return Hashed(hashes.astype(np.int64), firsts.astype(np.int64))


def to_look_up(landmarks: Landmarks) -> Sorted:
    """The hashes of a recording, for `align`."""
    found = at_speed(landmarks, 1.0)
    order = np.argsort(found.hashes, kind="stable")
    return Sorted(found.hashes[order].astype(np.uint32), found.firsts[order].astype(np.int32))


def align(landmarks: Landmarks, other: Sorted, offset: float, speed: float) -> Alignment | None:
    """The longest stretch in which a recording is the other, or None.

    offset: frame of the other at which the one begins, about; speed: 1, or the rung of a ladder
    at which it was found, which is then told more exactly.
    """
    hashed = at_speed(landmarks, speed)
    line = _line(hashed, other, offset, 0.0, AS_RECORDED if speed == 1 else OTHER_SPEED)
    if line is None:
        return None
    slope, offset = line
    if speed != 1:  # hashes at the speed itself are more of the same than those of the rung
        speed, slope = speed * (1 + slope), 0.0
        hashed = at_speed(landmarks, speed)
    near = speed != 1
    pairs = _pairs(hashed, other, offset, slope, TOLERANCE_FRAMES + 1, near=near)
    on_line = np.zeros(len(hashed.hashes), np.bool_)
    on_line[pairs[0]] = True
    return _stretch(hashed, on_line, offset, slope, speed)


def _line(
    hashed: Hashed, other: Sorted, offset: float, slope: float, spread: float
) -> tuple[float, float] | None:
    from audiosearch.engine.discovery.alignment_kernels import best_line

    length = float(hashed.firsts[-1]) if len(hashed.firsts) else 0.0
    reach = REACH_FRAMES + spread * length
    which, off = _pairs(hashed, other, offset, slope, reach, near=spread == OTHER_SPEED)
    if not len(which):
        return None
    steps = max(1, int(np.ceil(spread * length / TOLERANCE_FRAMES)))
    slopes = np.linspace(-spread, spread, 2 * steps + 1)
    slopes = slopes[np.argsort(np.abs(slopes), kind="stable")]  # of equal ones the least
    frames = hashed.firsts[which]
    slope, offset = best_line(frames, off, slopes, TOLERANCE_FRAMES)
    return fitted_line(frames, off, slope, offset, 2 * spread)


def fitted_line(
    frames: NDArray[np.int64], off: NDArray[np.int64], slope: float, offset: float, steepest: float
) -> tuple[float, float]:
    """By least squares, of the pairs that lie near a line: the truth may be between two slopes.

    The line itself where only one beyond `steepest` fits, as of a few pairs of one moment.
    """
    near = np.abs(off - slope * frames - offset) <= TOLERANCE_FRAMES + 1
    if np.ptp(frames[near]) == 0:
        return slope, offset
    fitted, at_zero = np.polyfit(frames[near], off[near], 1)
    return (float(fitted), float(at_zero)) if abs(fitted) <= steepest else (slope, offset)


def _pairs(
    hashed: Hashed, other: Sorted, offset: float, slope: float, reach: float, *, near: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Of each pair with one hash the number of the one's, and frames between; `near` hashes too."""
    from audiosearch.engine.discovery.alignment_kernels import near_pairs

    found = []
    leaning = hashed.firsts + np.rint(slope * hashed.firsts).astype(np.int64)
    order = np.argsort(hashed.hashes)  # ascending keys are found in half the time
    ascending, leaning = hashed.hashes[order], leaning[order]
    for change in (0, *NEIGHBOURS) if near else (0,):
        wanted = np.clip(ascending + change, 0, HASHES - 1).astype(np.uint32)
        lows = np.searchsorted(other.hashes, wanted)
        highs = np.searchsorted(other.hashes, wanted, side="right")
        which, off = near_pairs(lows, highs, leaning, other.firsts, offset, reach)
        found.append((order[which], off))
    return np.concatenate([one for one, _ in found]), np.concatenate([off for _, off in found])


def _stretch(
    hashed: Hashed, on_line: NDArray[np.bool_], offset: float, slope: float, speed: float
) -> Alignment | None:
    from audiosearch.engine.discovery.alignment_kernels import densest_stretch

    first, last = densest_stretch(on_line, BACKGROUND)
    if last <= first:
        return None
    begin, end = float(hashed.firsts[first]), float(hashed.firsts[last - 1])
    return Alignment(
        begin=begin / speed,
        end=end / speed,
        other_begin=begin + offset + slope * begin,
        other_end=end + offset + slope * end,
        speed=speed * (1 + slope),
        aligned=int(on_line[first:last].sum()),
        of=last - first,
    )
