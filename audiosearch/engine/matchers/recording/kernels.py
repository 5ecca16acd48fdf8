"""Compiled verification; see `engine.compiled` for who may import this."""

import numpy as np
from numpy.typing import NDArray

from audiosearch.engine.arrays import FloatArray
from audiosearch.engine.compiled import compiled

FEWEST_PEAKS = 8
UNVERIFIED = -9.0


@compiled
def verify_places(
    evidence: FloatArray,
    low_bin: int,
    peak_starts: NDArray[np.int64],
    peak_frames: NDArray[np.int32],
    peak_bins: NDArray[np.int32],
    peak_weights: FloatArray,
    bin_weights: FloatArray,
    rung: tuple[float, float, int],
) -> tuple[FloatArray, NDArray[np.int32]]:
    """How far the evidence at each candidate's peaks lies above chance, and at which shift.

    evidence: (bins, frames) of the query, -0.5 to 0.5 and uniform by chance; peak_weights,
    bin_weights: what a candidate's peak and a bin of the query count, as a product; rung: the
    query's pitch and speed, and the most frames by which a candidate's offset may be wrong. The
    first figure is in standard deviations, UNVERIFIED of candidates with too few peaks.
    """
    pitch, speed, most = rung
    bins, frames = evidence.shape
    count = len(peak_starts) - 1
    scores = np.full(count, UNVERIFIED, np.float32)
    shifts = np.zeros(count, np.int32)
    totals = np.empty(2 * most + 1, np.float64)
    squares = np.empty(2 * most + 1, np.float64)
    seen = np.empty(2 * most + 1, np.int64)
    for number in range(count):
        totals[:] = 0
        squares[:] = 0
        seen[:] = 0
        for peak in range(peak_starts[number], peak_starts[number + 1]):
            at = int(np.rint(peak_bins[peak] * pitch)) - low_bin
            if at < 0 or at >= bins:
                continue
            there, weight = evidence[at], peak_weights[peak] * bin_weights[at]
            for turn in range(2 * most + 1):
                frame = peak_frames[peak] - turn + most
                if speed != 1.0:
                    frame = int(np.rint(frame / speed))
                if 0 <= frame < frames:
                    totals[turn] += weight * there[frame]
                    squares[turn] += weight * weight
                    seen[turn] += 1
        for turn in range(2 * most + 1):
            if seen[turn] >= FEWEST_PEAKS:
                score = totals[turn] / np.sqrt(squares[turn] / 12.0)
                if score > scores[number]:
                    scores[number], shifts[number] = score, turn - most
    return scores, shifts


@compiled
def find_stretches(
    evidence: FloatArray,
    low_bin: int,
    peak_starts: NDArray[np.int64],
    peak_frames: NDArray[np.int32],
    peak_bins: NDArray[np.int32],
    most: int,
    drift: float,
) -> tuple[FloatArray, NDArray[np.int32]]:
    """How far each candidate's best stretch lies above chance, and at which shift of its offset.

    As `verify_places`, but of the stretch alone whose evidence lies the most above `drift` a peak:
    where a recording begins or ends within the query, the rest says nothing of it. Every other
    shift is tried, as the evidence holds for the frames beside, too.
    """
    frames, bins = evidence.shape
    count = len(peak_starts) - 1
    scores = np.full(count, UNVERIFIED, np.float32)
    shifts = np.zeros(count, np.int32)
    for number in range(count):
        for shift in range(-most, most + 1, 2):
            above, total, seen = 0.0, 0.0, 0
            for peak in range(peak_starts[number], peak_starts[number + 1]):
                frame, at = peak_frames[peak] - shift, peak_bins[peak] - low_bin
                if frame < 0 or frame >= frames or at < 0 or at >= bins:
                    continue
                found = evidence[frame, at]
                if above <= 0:
                    above, total, seen = 0.0, 0.0, 0
                above += found - drift
                total += found
                seen += 1
                if seen >= FEWEST_PEAKS and above > 0:
                    score = total / np.sqrt(seen / 12.0)
                    if score > scores[number]:
                        scores[number], shifts[number] = score, shift
    return scores, shifts
