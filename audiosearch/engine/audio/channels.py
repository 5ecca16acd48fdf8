"""From several channels to the one that is analysed: what either ear hears is kept.

The mean, unless it cancels what the channels have: then the louder channel. A steady offset (DC) is
taken away. Sound without either comes out as its plain mean, bit for bit.
"""

import numpy as np

from audiosearch.engine.arrays import FloatArray

CANCELS, KEEPS = 0.1, 0.3
"""Power of the mean over that of as many channels that have nothing to do with each other."""
LOUDER = 4.0
LEAST_OFFSET = 1e-4
SURE = 3.0
"""Standard deviations between means of fifths of a block that an offset has to exceed."""
FIFTHS = 9
SHORTEST = 500


class Mixer:
    """Mixes the blocks of one recording, of about a second each."""

    def __init__(self, channels: int) -> None:
        self._mean = np.full(channels, 1 / channels, np.float32)
        self._offsets = np.zeros(channels, np.float32)
        self._begun = False
        self._channel: int | None = None

    def mix(self, packed: FloatArray) -> FloatArray:
        """(n, channels) to (n,) float32."""
        packed = self._without_offset(packed)
        mixed: FloatArray = packed @ self._mean
        if len(self._mean) > 1 and len(packed):
            self._listen(packed, mixed)
            if self._channel is not None:
                mixed = np.ascontiguousarray(packed[:, self._channel])
        return mixed

    def _listen(self, packed: FloatArray, mixed: FloatArray) -> None:
        """Choose between the mean and a channel, which is kept as long as it serves."""
        powers = np.einsum("nc,nc->c", packed, packed) / len(packed)
        unrelated = float(powers.sum()) / len(self._mean) ** 2
        left = float(mixed @ mixed) / len(packed)
        loudest = int(powers.argmax())
        if self._channel is None:
            if left < CANCELS * unrelated:
                self._channel = loudest
        elif left > KEEPS * unrelated:
            self._channel = None
        elif powers[loudest] > LOUDER * powers[self._channel]:
            self._channel = loudest

    def _without_offset(self, packed: FloatArray) -> FloatArray:
        if len(packed) < SHORTEST:
            return packed - self._offsets if self._offsets.any() else packed
        means, spreads = _means(packed)
        moved = np.abs(means - self._offsets) > np.maximum(LEAST_OFFSET, SURE * spreads)
        before, self._offsets = self._offsets, np.where(moved, means, self._offsets)
        if not self._begun:
            before, self._begun = self._offsets, True
        if not (before.any() or self._offsets.any()):
            return packed
        slope = np.linspace(0, 1, len(packed), dtype=np.float32)[:, None]
        return packed - (before + slope * (self._offsets - before))


def _means(packed: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean of each channel and how much those of overlapping stretches differ (Hann windows)."""
    size = len(packed) // 5
    window = np.hanning(size + 2)[1:-1].astype(np.float32)
    window /= window.sum()
    starts = [n * (len(packed) - size) // (FIFTHS - 1) for n in range(FIFTHS)]
    means = np.stack([window @ packed[start : start + size] for start in starts])
    return means.mean(axis=0), means.std(axis=0)
