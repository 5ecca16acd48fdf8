"""What of the catalogue was played when in a long recording; see docs/recognition.md."""

import math
from collections.abc import Iterable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from audiosearch.engine.analyzers.landmarks.spectrum import HOP, LOW_BIN, SAMPLE_RATE
from audiosearch.engine.arrays import FloatArray
from audiosearch.engine.indexes.filters import TrackFilter
from audiosearch.engine.indexes.landmarks_base import Candidates, LandmarkIndex, LandmarkQuery
from audiosearch.engine.matchers.recording.blocks import Block, BlockStream, evidence_of_blocks
from audiosearch.engine.matchers.recording.lines import Drawn, Line, Peaks, Sighting
from audiosearch.engine.matchers.recording.play_log import Play, PlayLog, settle
from audiosearch.engine.matchers.recording.probability import MATCH, chance_of
from audiosearch.engine.matchers.recording.query import hash_query
from audiosearch.engine.matchers.recording.strangers import stranger_candidates
from audiosearch.engine.matchers.recording.verifying import (
    LEAST_DRIFT,
    MOST_VOTES,
    VOTE_WEIGHT,
)

TOP, STRANGERS_TOP, SHIFTS = 100, 64, 2
WORTH_A_LOOK = 8.0
"""Score from which on a place may be a part of a play; chance reaches it now and then."""
QUIETEST_DBFS, STEADIEST, FEWEST_PEAKS_A_SECOND = -70.0, 0.1, 3


class Scanner:
    """Takes a recording as it is decoded, of any length.

    Every 5 s ten seconds are looked up; what is found is verified in the twenty around. Memory
    holds these, the peaks of what goes on, and the plays.
    """

    def __init__(
        self,
        index: LandmarkIndex,
        space: str,
        where: TrackFilter = TrackFilter(),  # noqa: B008  frozen
    ) -> None:
        self._find = partial(_candidates, index, space, where)
        self._stream = BlockStream()
        self._blocks: list[Block] = []
        self._open: list[Line] = []
        self._drawn: list[Drawn] = []
        self._plays: list[Play] = []

    @property
    def seen_ms(self) -> int:
        """How much of the recording was fed."""
        return self._stream.seen * 1000 // SAMPLE_RATE

    def feed(self, samples: FloatArray) -> None:
        """Take the next samples, (n,) float32 mono at SAMPLE_RATE.

        Raises IndexUnavailable and SpaceMissing.
        """
        for block in self._stream.feed(samples):
            self._take(block)

    def finish(self) -> PlayLog:
        """What was played, after the last samples. Raises the same."""
        for block in self._stream.finish():
            self._take(block)
        if len(self._blocks) == 1:
            self._look(self._blocks, self._blocks)
        elif self._blocks:
            self._look(self._blocks[-3:], self._blocks[-2:])
            self._look(self._blocks[-2:], self._blocks[-1:])
        self._close(self._open)
        return PlayLog(self.seen_ms, sorted(self._plays, key=lambda play: play.start_ms))

    def _take(self, block: Block) -> None:
        self._blocks = [*self._blocks[-3:], block]
        if len(self._blocks) == 3 and not self._blocks[0].first:
            self._look(self._blocks, self._blocks[:2])
        elif len(self._blocks) == 4:
            self._look(self._blocks, self._blocks[1:3])

    def _look(self, around: list[Block], core: list[Block]) -> None:
        if _is_fit(core):
            for seen in self._sightings(around, core):
                line = next((line for line in self._open if line.continues(seen)), None)
                if line is None:
                    self._open.append(Line(seen))
                else:
                    line.add(seen)
        self._close([line for line in self._open if line.is_over(core[0].first)])

    def _sightings(self, around: list[Block], core: list[Block]) -> list[Sighting]:
        """Places in tracks that agree with these blocks, the best first."""
        first, end = around[0].first, around[-1].end
        frames = np.concatenate([block.peak_frames for block in core]) - first
        bins = np.concatenate([block.peak_bins for block in core])
        asked = hash_query(frames, bins, end - first, neighbours=False)
        found, evidence = self._find(asked, TOP), evidence_of_blocks(around)
        scores, shifts = _scores(evidence, found)
        worthy = [n for n in np.argsort(-scores).tolist() if scores[n] >= WORTH_A_LOOK]
        if not worthy:
            return []
        strangers = stranger_candidates(asked, STRANGERS_TOP)
        chance = chance_of(
            _best_scores(found, scores), _best_scores(strangers, _scores(evidence, strangers)[0])
        )
        return [
            Sighting(
                item_id=int(found.item_ids[n]),
                diagonal=int(found.offsets[n]) + int(shifts[n]) - first,
                core=core[0].first,
                seen_to=end,
                peaks=_peaks(evidence, found, n, int(shifts[n]), first),
                score=float(scores[n]),
                votes=float(found.votes[n]),
                chance=chance,
            )
            for n in worthy
        ]

    def _close(self, lines: list[Line]) -> None:
        for line in lines:
            drawn = line.drawn()
            if drawn and drawn.probability >= MATCH:
                self._drawn.append(drawn)
        self._open = [line for line in self._open if line not in lines]
        before = min((line.begin for line in self._open), default=math.inf)
        plays, self._drawn = settle(self._drawn, before)
        self._plays += plays


def scan(
    blocks: Iterable[FloatArray],
    index: LandmarkIndex,
    space: str,
    where: TrackFilter = TrackFilter(),  # noqa: B008  frozen
) -> PlayLog:
    """What of a space was played in a recording that comes in blocks; for notebooks and scripts.

    blocks: (n,) float32 mono at SAMPLE_RATE each. Raises IndexUnavailable and SpaceMissing.
    """
    scanner = Scanner(index, space, where)
    for block in blocks:
        scanner.feed(block)
    return scanner.finish()


def _candidates(
    index: LandmarkIndex, space: str, where: TrackFilter, query: LandmarkQuery, top: int
) -> Candidates:
    return index.candidates(space, query, top, where)


def _is_fit(blocks: list[Block]) -> bool:
    """Whether there is anything in these blocks to recognise them by."""
    seconds = sum(len(block.contrasts) for block in blocks) * HOP / SAMPLE_RATE
    peaks = sum(len(block.peak_frames) for block in blocks)
    heard = any(b.level >= QUIETEST_DBFS and b.deviation >= STEADIEST for b in blocks)
    return heard and peaks >= FEWEST_PEAKS_A_SECOND * seconds


def _scores(evidence: FloatArray, found: Candidates) -> tuple[FloatArray, NDArray[np.int32]]:
    """Of each candidate's best stretch, and by how much its offset is to be put right."""
    from audiosearch.engine.matchers.recording.kernels import find_stretches

    peaks = (found.peak_starts, found.peak_frames, found.peak_bins)
    deviations, shifts = find_stretches(evidence, LOW_BIN, *peaks, SHIFTS, LEAST_DRIFT)
    scores = deviations + VOTE_WEIGHT * np.minimum(found.votes, MOST_VOTES)
    return scores.astype(np.float32), shifts


def _best_scores(found: Candidates, scores: FloatArray) -> list[float]:
    best: dict[int, float] = {}
    for item_id, score in zip(found.item_ids.tolist(), scores.tolist(), strict=True):
        best[item_id] = max(best.get(item_id, score), score)
    return sorted(best.values(), reverse=True)


def _peaks(evidence: FloatArray, found: Candidates, number: int, shift: int, first: int) -> Peaks:
    """A candidate's peaks, as frames of the whole sound."""
    own = slice(found.peak_starts[number], found.peak_starts[number + 1])
    frames, bins = found.peak_frames[own] - shift, found.peak_bins[own]
    at = bins - LOW_BIN
    inside = (frames >= 0) & (frames < len(evidence)) & (at >= 0) & (at < evidence.shape[1])
    frames, bins, at = frames[inside], bins[inside], at[inside]
    return Peaks((frames + first).astype(np.int32), bins, evidence[frames, at])
