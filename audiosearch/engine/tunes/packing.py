"""Tunes as tables of what it costs to take a pitch for one that sounds, one table a track."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audiosearch.engine.tunes.representation import CLASSES, CONTOUR_STEPS, Tune
from audiosearch.engine.tunes.salience import KEYS, LOWEST_KEY, STEPS

FULL = 127
"""What a pitch costs that does not sound at all."""
FIRST_UNFOLDED, CONTOUR_ROW = CLASSES, CLASSES + KEYS


@dataclass(frozen=True)
class PackedTune:
    """What matching reads of a tune; 1.5 MB an hour.

    table: (CLASSES + KEYS + 1, frames) uint8; costs of the folded pitches, from FIRST_UNFOLDED on
    of the unfolded ones, each 0 to FULL, and in CONTOUR_ROW classes of the predominant pitch.
    """

    table: NDArray[np.uint8]

    @classmethod
    def of(cls, tune: Tune) -> "PackedTune":
        """The table of a tune."""
        table = np.empty((CLASSES + KEYS + 1, len(tune)), np.uint8)
        table[:FIRST_UNFOLDED] = (255 - tune.folded.T) >> 1
        table[FIRST_UNFOLDED:CONTOUR_ROW] = (255 - tune.unfolded.T) >> 1
        table[CONTOUR_ROW] = _classes(tune)
        return cls(table)

    def __len__(self) -> int:
        return self.table.shape[1]

    @property
    def folded(self) -> NDArray[np.uint8]:
        """(CLASSES, frames) costs."""
        return self.table[:FIRST_UNFOLDED]

    @property
    def unfolded(self) -> NDArray[np.uint8]:
        """(KEYS, frames) costs."""
        return self.table[FIRST_UNFOLDED:CONTOUR_ROW]


class PackedTunes:
    """Tunes by id, ready to be matched."""

    def __init__(self, tunes: Mapping[int, Tune]) -> None:
        self.item_ids: Sequence[int] = list(tunes)
        self.packed: Sequence[PackedTune] = [PackedTune.of(tune) for tune in tunes.values()]

    @classmethod
    def holding(cls, packed: Mapping[int, PackedTune]) -> "PackedTunes":
        """Tunes that are packed already, which are not copied."""
        tunes = cls({})
        tunes.item_ids, tunes.packed = list(packed), list(packed.values())
        return tunes

    def __len__(self) -> int:
        return len(self.item_ids)


def _classes(tune: Tune) -> NDArray[np.uint8]:
    """The class of the predominant pitch of each frame; a rest prolongs what was before it."""
    heard = tune.contour > 0
    if not heard.any():
        return np.zeros(len(tune), np.uint8)
    last = np.maximum.accumulate(np.where(heard, np.arange(len(tune)), np.argmax(heard)))
    keys = LOWEST_KEY + (tune.contour[last].astype(np.float32) - 1) / CONTOUR_STEPS
    return (np.round(keys * STEPS) % CLASSES).astype(np.uint8)
