"""Lines: moments of a long sound that agree with one track at one offset, joined to one play."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audiosearch.engine.analyzers.landmarks.spectrum import FFT, HOP, SAMPLE_RATE, frames_to_ms
from audiosearch.engine.arrays import FloatArray
from audiosearch.engine.matchers.recording.probability import SCAN, Chance
from audiosearch.engine.matchers.recording.verifying import (
    LEAST_DRIFT,
    MOST_VOTES,
    STANDS_OUT,
    VOTE_WEIGHT,
)

SAME_LINE_FRAMES = 5
"""From one look at a line to the next, 5 s later, as its speed may be a little off."""
BRIDGE_S = 10
"""Moments of one line that are farther apart are two plays."""
FEWEST_FRAMES = 3 * SAMPLE_RATE // HOP
"""What agrees with a stranger by chance are some notes in a row, which last 2 s at most."""
HALF_WINDOW_MS = FFT * 500 // SAMPLE_RATE
ENOUGH_TO_TELL_SPEED, SURE_OF_SPEED = 5, 2.0
"""Sightings, and standard errors of their slope, as each may be wrong by a frame."""
DRIFT_SHARE = 0.5
"""Of the evidence of a play's peaks: what is below it is more likely to be outside."""


@dataclass(frozen=True)
class Peaks:
    """A track's peaks where they fall in the sound, ascending by frame.

    frames, bins: (n,) int32; evidence: (n,) float32, how far the sound stands out there.
    """

    frames: NDArray[np.int32]
    bins: NDArray[np.int32]
    evidence: FloatArray

    def between(self, begin: float, end: float) -> "Peaks":
        own = slice(*np.searchsorted(self.frames, [begin, end]))
        return Peaks(self.frames[own], self.bins[own], self.evidence[own])

    def __len__(self) -> int:
        return len(self.frames)


@dataclass(frozen=True)
class Sighting:
    """One look at some frames of a sound, up to `seen_to`, of which those from `core` on are new.

    diagonal: the track's frame minus the sound's; chance: what other tracks scored there.
    """

    item_id: int
    diagonal: int
    core: int
    seen_to: int
    peaks: Peaks
    score: float
    votes: float
    chance: Chance

    def agreeing(self) -> tuple[int, int]:
        """The frames of the stretch that agrees best, from and before which."""
        begin, end = _best_stretch(self.peaks.evidence, LEAST_DRIFT)
        if begin == end:
            return self.core, self.core
        return int(self.peaks.frames[begin]), int(self.peaks.frames[end - 1]) + 1


class Line:
    """Sightings of a track, one after the other, at nearly the same diagonal."""

    def __init__(self, first: Sighting) -> None:
        self.item_id = first.item_id
        self.peaks = first.peaks
        self.diagonals = [(first.core, first.diagonal)]
        self.seen_to = first.seen_to
        self.end = first.agreeing()[1]
        self.best = first

    @property
    def begin(self) -> int:
        return int(self.peaks.frames[0])

    def continues(self, seen: Sighting) -> bool:
        """Whether this is where the line goes on."""
        apart = abs(self.diagonals[-1][1] - seen.diagonal)
        if self.item_id != seen.item_id or apart > SAME_LINE_FRAMES:
            return False
        return not self.is_over(seen.agreeing()[0])

    def is_over(self, frame: int) -> bool:
        """Whether what agrees from this frame on is another play."""
        return frame - self.end > BRIDGE_S * SAMPLE_RATE // HOP

    def add(self, seen: Sighting) -> None:
        """Go on with this."""
        cut = min(seen.core, self.seen_to)
        old, new = self.peaks.between(0, cut), seen.peaks.between(cut, np.inf)
        pairs = zip(vars(old).values(), vars(new).values(), strict=True)
        self.peaks = Peaks(*(np.concatenate(pair) for pair in pairs))
        self.diagonals.append((seen.core, seen.diagonal))
        self.seen_to = seen.seen_to
        self.end = max(self.end, seen.agreeing()[1])
        if seen.score > self.best.score:
            self.best = seen

    def drawn(self) -> "Drawn | None":
        """The stretch of it that agrees; None when it is too short to be anything."""
        drift = LEAST_DRIFT
        for _ in range(2):
            begin, end = _best_stretch(self.peaks.evidence, drift)
            own = self.peaks.evidence[begin:end]
            if not len(own):
                return None
            drift = max(LEAST_DRIFT, DRIFT_SHARE * float(own.mean()))
        frames = self.peaks.frames[begin], self.peaks.frames[end - 1] + 1
        if frames[1] - frames[0] < FEWEST_FRAMES:
            return None
        peaks = self.peaks.between(*frames)
        seconds = float(frames[1] - frames[0]) * HOP / SAMPLE_RATE
        deviations = float(peaks.evidence.sum() / np.sqrt(len(peaks) / 12))
        score = deviations + VOTE_WEIGHT * min(self.best.votes, MOST_VOTES)
        standing = self.best.chance.standing(score)
        probability = SCAN.probability(standing, score, seconds)
        offset, speed = self._course()
        return Drawn(self.item_id, peaks, offset, speed, score, probability)

    def _course(self) -> tuple[float, float]:
        """The track's frame at the sound's first, and how fast the sound plays it."""
        at, diagonals = np.array(self.diagonals, float).T
        spread = float(np.sqrt(np.square(at - at.mean()).sum()))
        if len(at) >= ENOUGH_TO_TELL_SPEED:
            slope, offset = np.polyfit(at, diagonals, 1)
            if abs(slope) * spread > SURE_OF_SPEED:
                return float(offset), 1 + float(slope)
        return float(np.median(diagonals)), 1.0


@dataclass(frozen=True)
class Drawn:
    """A line as it was drawn: the track's frame is `offset` and `speed` times the sound's."""

    item_id: int
    peaks: Peaks
    offset: float
    speed: float
    score: float
    probability: float

    @property
    def begin(self) -> int:
        return int(self.peaks.frames[0])

    @property
    def end(self) -> int:
        return int(self.peaks.frames[-1]) + 1

    @property
    def aligned(self) -> int:
        """How many of its peaks stand out in the sound."""
        return int((self.peaks.evidence > STANDS_OUT).sum())

    def in_track_ms(self, frame: float) -> int:
        """When in the track a frame of the sound is."""
        return max(0, frames_to_ms(self.offset + self.speed * frame) + HALF_WINDOW_MS)


def _best_stretch(evidence: FloatArray, drift: float) -> tuple[int, int]:
    """Where the evidence above `drift` a peak sums up to the most: from, and before which peak."""
    sums = np.concatenate([[0.0], np.cumsum(evidence - drift)])
    lowest = np.minimum.accumulate(sums)
    end = int(np.argmax(sums - lowest))
    begin = int(np.flatnonzero(sums[: end + 1] == lowest[end])[-1])
    return begin, end
