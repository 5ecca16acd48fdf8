"""Tunes laid end to end, as tables of what it costs to take a pitch for one that sounds."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from audiosearch.engine.tunes.representation import CLASSES, CONTOUR_STEPS, Tune
from audiosearch.engine.tunes.salience import KEYS, LOWEST_KEY, STEPS

FULL = 127
"""What a pitch costs that does not sound at all."""
BARRIER = 2
"""Columns before each track that no path crosses, as it steps over one at most."""
BLOCK_COLUMNS = 32_768
"""Matched at once, so that the rows stay in the processor's cache."""
FARTHEST = 3.0
"""Semitones between two contours beyond which all distances cost the same."""


@dataclass(frozen=True)
class Block:
    """Some of the tunes side by side, BARRIER columns of FULL before each.

    tracks: which of the tunes; starts: (tracks,) int64, the first column of each, its barrier
    included; folded: (CLASSES, columns) and unfolded: (KEYS + 1, columns) uint16 costs, the last
    row of keys out of reach; contour: (columns,) int16, classes of the predominant pitch.
    """

    tracks: slice
    starts: NDArray[np.int64]
    folded: NDArray[np.uint16]
    unfolded: NDArray[np.uint16]
    contour: NDArray[np.int16]

    @cached_property
    def barriers(self) -> NDArray[np.int64]:
        """The columns that no path may touch."""
        return np.concatenate([self.starts + column for column in range(BARRIER)])

    @property
    def contours(self) -> NDArray[np.uint16]:
        """(CLASSES, columns) costs by the distance to the predominant pitch alone."""
        distance = np.arange(CLASSES)[:, None] - np.arange(CLASSES)
        distance = np.minimum(distance % CLASSES, -distance % CLASSES)
        table = np.minimum(distance / (FARTHEST * STEPS), 1) * FULL
        return np.round(table).astype(np.uint16)[:, self.contour]


class PackedTunes:
    """Tunes by id, ready to be matched; 3 MB an hour."""

    def __init__(self, tunes: Mapping[int, Tune]) -> None:
        self.item_ids = np.array(list(tunes), np.int64)
        self.blocks: list[Block] = []
        waiting: list[Tune] = []
        for tune in tunes.values():
            if waiting and sum(map(_columns, [*waiting, tune])) > BLOCK_COLUMNS:
                self._pack(waiting)
                waiting = []
            waiting.append(tune)
        if waiting:
            self._pack(waiting)

    def __len__(self) -> int:
        return len(self.item_ids)

    def costs_of(self, track: int) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
        """Folded and unfolded costs of one of the tunes, without its barrier."""
        block = next(one for one in self.blocks if track < one.tracks.stop)
        place = track - block.tracks.start
        ends = [*block.starts[1:], block.folded.shape[1]]
        own = slice(block.starts[place] + BARRIER, ends[place])
        return block.folded[:, own], block.unfolded[:, own]

    def _pack(self, tunes: list[Tune]) -> None:
        first = self.blocks[-1].tracks.stop if self.blocks else 0
        widths = [_columns(tune) for tune in tunes]
        starts = np.cumsum([0, *widths[:-1]])
        folded = np.full((CLASSES, sum(widths)), FULL, np.uint16)
        unfolded = np.full((KEYS + 1, sum(widths)), FULL, np.uint16)
        contour = np.zeros(sum(widths), np.int16)
        for tune, start, width in zip(tunes, starts, widths, strict=True):
            own = slice(start + BARRIER, start + width)
            folded[:, own] = (255 - tune.folded.T) >> 1
            unfolded[:KEYS, own] = (255 - tune.unfolded.T) >> 1
            contour[own] = _classes(tune)
        tracks = slice(first, first + len(tunes))
        self.blocks.append(Block(tracks, starts, folded, unfolded, contour))


def _columns(tune: Tune) -> int:
    return len(tune) + BARRIER


def _classes(tune: Tune) -> NDArray[np.int16]:
    """The class of the predominant pitch of each frame; a rest prolongs what was before it."""
    heard = tune.contour > 0
    if not heard.any():
        return np.zeros(len(tune), np.int16)
    last = np.maximum.accumulate(np.where(heard, np.arange(len(tune)), np.argmax(heard)))
    keys = LOWEST_KEY + (tune.contour[last].astype(np.float32) - 1) / CONTOUR_STEPS
    return (np.round(keys * STEPS) % CLASSES).astype(np.int16)
