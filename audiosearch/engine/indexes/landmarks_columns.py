"""The payloads of a segment's tracks as columns, on which a filter is one boolean a track."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiosearch.engine.arrays import BoolArray
from audiosearch.engine.indexes.filters import AllOf, AnyOf, Between, Condition, Filter, NoneOf
from audiosearch.engine.indexes.payloads import Layout, Payload

INT64 = range(-(2**63), 2**63)
FILTERS = 8
"""How many filters a segment remembers the answers to: a query asks by the same one many times."""


def payload_text(payload: Payload) -> str:
    """The payload as a row keeps it: its columns in the layout's order, in ASCII."""
    layout = payload.layout
    names = (layout.item, *layout.integers, *layout.texts, *layout.text_lists)
    return json.dumps([getattr(payload, name) for name in names], separators=(",", ":"))


@dataclass(frozen=True)
class Row:
    """One track of a segment as the ledger has it; a dead one has no payload any more."""

    local: int
    alive: bool
    payload: str


@dataclass(frozen=True)
class Lists:
    """The lists of texts of all tracks: track `tracks[i]` has the text of code `codes[i]`."""

    tracks: NDArray[np.int64]
    codes: NDArray[np.int64]


@dataclass(frozen=True)
class Columns:
    """The columns of n tracks by their local number; never changed, `put` gives new ones.

    Texts are codes of a vocabulary that only grows, and that all versions share.
    """

    layout: Layout
    alive: BoolArray
    integers: dict[str, NDArray[np.int64]]
    texts: dict[str, NDArray[np.int64]]
    lists: dict[str, Lists]
    vocabulary: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, layout: Layout, count: int, rows: Sequence[Row]) -> "Columns":
        """The columns of `count` tracks; those without a row are dead."""
        none = np.zeros(0, np.int64)
        empty = cls(
            layout,
            np.zeros(count, np.bool_),
            {name: np.zeros(count, np.int64) for name in (layout.item, *layout.integers)},
            {name: np.full(count, -1, np.int64) for name in layout.texts},
            {name: Lists(none, none) for name in layout.text_lists},
        )
        return empty.put(rows)

    def __post_init__(self) -> None:
        object.__setattr__(self, "allowed", lru_cache(FILTERS)(self.allowed))

    def put(self, rows: Sequence[Row]) -> "Columns":
        """The same columns with these rows for the tracks that they are of."""
        alive = self.alive.copy()
        alive[[row.local for row in rows]] = [row.alive for row in rows]
        living = [row for row in rows if row.alive]
        if not living:
            return replace(self, alive=alive)
        where = np.asarray([row.local for row in living], np.int64)
        values = dict(zip(self._names, zip(*map(_values, living), strict=True), strict=True))
        return replace(
            self,
            alive=alive,
            integers={k: _put(v, where, values[k]) for k, v in self.integers.items()},
            texts={k: _put(v, where, self._codes(values[k])) for k, v in self.texts.items()},
            lists={k: self._put_lists(v, where, values[k]) for k, v in self.lists.items()},
        )

    def allowed(self, where: Filter) -> BoolArray:
        """(n,) whether each track lives and satisfies the filter; exactly as `Condition.holds`."""
        allowed = self.alive
        for condition in where.conditions:
            allowed = allowed & self._holds(condition)
        allowed.setflags(write=False)
        return allowed

    @property
    def item_ids(self) -> NDArray[np.int64]:
        """(n,) the item that each track is of."""
        return self.integers[self.layout.item]

    @property
    def _names(self) -> tuple[str, ...]:
        return (*self.integers, *self.texts, *self.lists)

    def _holds(self, condition: Condition) -> BoolArray:
        match condition:
            case AnyOf(column, values):
                return self._among(column, values) if values else np.ones_like(self.alive)
            case NoneOf(column, values):
                return ~self._among(column, values)
            case AllOf(column, values):
                holds = np.ones_like(self.alive)
                for value in dict.fromkeys(values):
                    holds &= self._has(column, value)
                return holds
            case Between(column, low, high):
                held = self.integers[column]
                above = np.ones_like(self.alive) if low is None else held >= low
                return above if high is None else above & (held <= high)

    def _among(self, column: str, values: Iterable[Any]) -> BoolArray:
        if column in self.integers:
            known = [value for value in values if value in INT64]
            return np.isin(self.integers[column], np.asarray(known, np.int64))
        codes = [code for value in values if (code := self.vocabulary.get(value)) is not None]
        return np.isin(self.texts[column], np.asarray(codes, np.int64))

    def _has(self, column: str, value: str) -> BoolArray:
        has = np.zeros_like(self.alive)
        code = self.vocabulary.get(value)
        if code is not None:
            lists = self.lists[column]
            has[lists.tracks[lists.codes == code]] = True
        return has

    def _codes(self, texts: Iterable[str]) -> list[int]:
        return [self.vocabulary.setdefault(text, len(self.vocabulary)) for text in texts]

    def _put_lists(
        self, held: Lists, where: NDArray[np.int64], texts: Sequence[Sequence[str]]
    ) -> Lists:
        stay = ~np.isin(held.tracks, where)
        tracks = np.repeat(where, [len(each) for each in texts])
        codes = np.asarray(self._codes(text for each in texts for text in each), np.int64)
        return Lists(
            np.concatenate([held.tracks[stay], tracks]), np.concatenate([held.codes[stay], codes])
        )


def _values(row: Row) -> list[Any]:
    return list(json.loads(row.payload))


def _put(
    held: NDArray[np.int64], where: NDArray[np.int64], values: Sequence[int]
) -> NDArray[np.int64]:
    changed = held.copy()
    changed[where] = values
    return changed
