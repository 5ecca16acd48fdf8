"""Tunes laid end to end, as tables of what it costs to take a pitch for one that sounds."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from audiosearch.engine.tunes.representation import CLASSES, CONTOUR_STEPS, Tune
from audiosearch.engine.tunes.salience import KEYS, LOWEST_KEY, STEPS

FULL = 127
"""What a pitch costs that does not sound at all."""
BARRIER = 2
"""Columns before each track that no path crosses, as it steps over one at most."""
BLOCK_COLUMNS = 8192
"""Matched at once in all keys: fewer take NumPy longer to call, more leave the cache."""
FARTHEST = 3.0
"""Semitones between two contours beyond which all distances cost the same."""
TRIED_KEYS = 26
"""Keys, octaves included, that a query is tried in: as many rows of FULL are below the lowest key
and above the highest."""


@dataclass(frozen=True)
class Block:
    """Some of the tunes side by side, BARRIER columns of FULL before each.

    tracks: which of the tunes; starts: (tracks,) int64, the first column of each, its barrier
    included; folded: (CLASSES, columns) and unfolded: (KEYS, columns) uint8 costs; contour:
    (columns,) int16, classes of the predominant pitch.
    """

    tracks: slice
    starts: NDArray[np.int64]
    folded: NDArray[np.uint8]
    unfolded: NDArray[np.uint8]
    contour: NDArray[np.int16]

    @cached_property
    def barriers(self) -> NDArray[np.int64]:
        """The columns that no path may touch."""
        return np.concatenate([self.starts + column for column in range(BARRIER)])

    def folded_costs(self) -> NDArray[np.uint16]:
        """(2 * CLASSES, columns) costs of the classes, twice: those of a key are in one piece."""
        return np.concatenate([self.folded, self.folded]).astype(np.uint16)

    def unfolded_costs(self) -> NDArray[np.uint16]:
        """(KEYS + 2 * TRIED_KEYS, columns) costs of the keys, and of those out of reach."""
        margin = ((TRIED_KEYS, TRIED_KEYS), (0, 0))
        return np.pad(self.unfolded, margin, constant_values=FULL).astype(np.uint16)

    def contour_costs(self) -> NDArray[np.uint16]:
        """(2 * CLASSES, columns) costs by the distance to the predominant pitch alone, twice."""
        distance = np.arange(2 * CLASSES)[:, None] - np.arange(CLASSES)
        distance = np.minimum(distance % CLASSES, -distance % CLASSES)
        table = np.minimum(distance / (FARTHEST * STEPS), 1) * FULL
        return np.take(np.round(table).astype(np.uint16), self.contour, axis=1)


class Costs(NamedTuple):
    """Of one tune; folded: (CLASSES, n) and unfolded: (KEYS, n) uint8; contour: (n,) int16."""

    folded: NDArray[np.uint8]
    unfolded: NDArray[np.uint8]
    contour: NDArray[np.int16]

    @property
    def width(self) -> int:
        """Columns that it takes, its barrier included."""
        return len(self.contour) + BARRIER


class PackedTunes:
    """Tunes by id, ready to be matched; 1.5 MB an hour."""

    def __init__(self, tunes: Mapping[int, Tune]) -> None:
        self.item_ids = np.array(list(tunes), np.int64)
        self.blocks = list(_blocks_of(map(_costs_of, tunes.values())))

    def __len__(self) -> int:
        return len(self.item_ids)

    def only(self, tracks: NDArray[np.int64]) -> "PackedTunes":
        """Some of them, in this order."""
        chosen = PackedTunes({})
        chosen.item_ids = self.item_ids[tracks]
        chosen.blocks = list(_blocks_of(self.costs_of(int(track)) for track in tracks))
        return chosen

    def costs_of(self, track: int) -> Costs:
        """What one of them costs, without its barrier."""
        block = next(one for one in self.blocks if track < one.tracks.stop)
        place = track - block.tracks.start
        ends = [*block.starts[1:], len(block.contour)]
        own = slice(block.starts[place] + BARRIER, ends[place])
        return Costs(block.folded[:, own], block.unfolded[:, own], block.contour[own])


def _blocks_of(tunes: Iterable[Costs]) -> Iterator[Block]:
    first, width, waiting = 0, 0, list[Costs]()
    for tune in tunes:
        if waiting and width + tune.width > BLOCK_COLUMNS:
            yield _block(waiting, first)
            first, width, waiting = first + len(waiting), 0, []
        waiting.append(tune)
        width += tune.width
    if waiting:
        yield _block(waiting, first)


def _block(tunes: list[Costs], first: int) -> Block:
    widths = [tune.width for tune in tunes]
    starts = np.cumsum([0, *widths[:-1]])
    folded = np.full((CLASSES, sum(widths)), FULL, np.uint8)
    unfolded = np.full((KEYS, sum(widths)), FULL, np.uint8)
    contour = np.zeros(sum(widths), np.int16)
    for tune, start, width in zip(tunes, starts, widths, strict=True):
        own = slice(start + BARRIER, start + width)
        folded[:, own], unfolded[:, own], contour[own] = tune
    return Block(slice(first, first + len(tunes)), starts, folded, unfolded, contour)


def _costs_of(tune: Tune) -> Costs:
    halves = [np.asarray((255 - one.T) >> 1, np.uint8) for one in (tune.folded, tune.unfolded)]
    return Costs(halves[0], halves[1], _classes(tune))


def _classes(tune: Tune) -> NDArray[np.int16]:
    """The class of the predominant pitch of each frame; a rest prolongs what was before it."""
    heard = tune.contour > 0
    if not heard.any():
        return np.zeros(len(tune), np.int16)
    last = np.maximum.accumulate(np.where(heard, np.arange(len(tune)), np.argmax(heard)))
    keys = LOWEST_KEY + (tune.contour[last].astype(np.float32) - 1) / CONTOUR_STEPS
    return (np.round(keys * STEPS) % CLASSES).astype(np.int16)
