"""Packed tunes in memory, those that were asked for last."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from threading import Lock

import numpy as np

from audiosearch.engine.tunes.packing import PackedTune, PackedTunes
from audiosearch.engine.tunes.representation import CLASSES, Tune
from audiosearch.engine.tunes.salience import KEYS

NO_TUNE = PackedTune(np.zeros((CLASSES + KEYS + 1, 0), np.uint8))
"""What a track without a tune is remembered by, so that it is not loaded each time."""
ENTRY_BYTES = 500
"""Of what is kept beside a table, roughly."""


class TuneShelf:
    """The tunes of a space by track id, at most `most_bytes` of them; safe to use by many threads.

    load: gives the tune of a track, or None where none is kept, which is asked again the next time;
    what it raises, `tunes` raises. What is asked for at once and is there is taken before anything
    is loaded in its place, so that asking for more than has room finds some of it each time.
    """

    def __init__(self, load: Callable[[int], Tune | None], most_bytes: int) -> None:
        self._load = load
        self._most_bytes = most_bytes
        self._kept: OrderedDict[int, PackedTune] = OrderedDict()
        self._loading: dict[int, Future[PackedTune | None]] = {}
        self._bytes = 0
        self._lock = Lock()

    @property
    def nbytes(self) -> int:
        """How much is kept."""
        return self._bytes

    def tunes(self, ids: Sequence[int]) -> PackedTunes:
        """Those of these tracks that hold a tune, in this order, none of them copied.

        What several threads want is loaded by one of them.
        """
        wanted = list(dict.fromkeys(ids))
        with self._lock:
            found = {one: self._kept[one] for one in wanted if one in self._kept}
            for one in found:
                self._kept.move_to_end(one)
            missing = [one for one in wanted if one not in found]
            own = [one for one in missing if one not in self._loading]
            waited = {one: self._loading[one] for one in missing if one in self._loading}
            self._loading.update((one, Future()) for one in own)
        if own:
            found |= self._loaded(own)
        found |= {one: packed for one, later in waited.items() if (packed := later.result())}
        return PackedTunes.holding({one: found[one] for one in wanted if len(found.get(one, ()))})

    def forget(self, track_id: int) -> None:
        """Load this one anew when it is next asked for, as it was analysed again or deleted."""
        with self._lock:
            self._loading.pop(track_id, None)
            self._remove(track_id)

    def _loaded(self, ids: list[int]) -> dict[int, PackedTune]:
        """Load these, and tell who waits for them."""
        found: dict[int, PackedTune] = {}
        with self._lock:
            promised = {one: self._loading[one] for one in ids if one in self._loading}
        try:
            for one in ids:
                tune = self._load(one)
                packed = None if tune is None else _packed(tune)
                if packed is not None:
                    found[one] = packed
                self._settle(one, packed, promised.pop(one, None))
        except BaseException as problem:
            for one, later in promised.items():
                self._give_up(one, later, problem)
            raise
        return found

    def _settle(
        self,
        track_id: int,
        packed: PackedTune | None,
        later: Future[PackedTune | None] | None,
    ) -> None:
        """Keep what was loaded, unless it was to be forgotten meanwhile."""
        with self._lock:
            if later is not None and self._loading.get(track_id) is later:
                del self._loading[track_id]
                if packed is not None:
                    self._keep(track_id, packed)
        if later is not None:
            later.set_result(packed)

    def _give_up(
        self, track_id: int, later: Future[PackedTune | None], problem: BaseException
    ) -> None:
        with self._lock:
            if self._loading.get(track_id) is later:
                del self._loading[track_id]
        later.set_exception(problem)

    def _keep(self, track_id: int, packed: PackedTune) -> None:
        size = _size(packed)
        while self._bytes + size > self._most_bytes and self._kept:
            self._remove(next(iter(self._kept)))
        if self._bytes + size <= self._most_bytes:
            self._kept[track_id] = packed
            self._bytes += size

    def _remove(self, track_id: int) -> None:
        packed = self._kept.pop(track_id, None)
        if packed is not None:
            self._bytes -= _size(packed)


def _packed(tune: Tune) -> PackedTune:
    return PackedTune.of(tune) if tune.melodic else NO_TUNE


def _size(packed: PackedTune) -> int:
    return packed.table.nbytes + ENTRY_BYTES
