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
            waited = {one: self._loading[one] for one in missing if one in self._loading}
            own = {one: Future[PackedTune | None]() for one in missing if one not in waited}
            self._loading.update(own)
        found |= self._loaded(own)
        found |= {one: packed for one, later in waited.items() if (packed := later.result())}
        return PackedTunes.holding({one: found[one] for one in wanted if len(found.get(one, ()))})

    def _loaded(self, promised: dict[int, Future[PackedTune | None]]) -> dict[int, PackedTune]:
        """Load these, keep them, and tell who waits for them, also of what went wrong."""
        found: dict[int, PackedTune] = {}
        waiting = dict(promised)
        try:
            for one, later in promised.items():
                tune = self._load(one)
                packed = None if tune is None else _packed(tune)
                with self._lock:
                    del self._loading[one]
                    if packed is not None:
                        self._keep(one, packed)
                        found[one] = packed
                del waiting[one]
                later.set_result(packed)
        except BaseException as problem:
            with self._lock:
                for one in waiting:
                    del self._loading[one]
            for later in waiting.values():
                later.set_exception(problem)
            raise
        return found

    def _keep(self, track_id: int, packed: PackedTune) -> None:
        size = _size(packed)
        while self._bytes + size > self._most_bytes and self._kept:
            _, oldest = self._kept.popitem(last=False)
            self._bytes -= _size(oldest)
        if self._bytes + size <= self._most_bytes:
            self._kept[track_id] = packed
            self._bytes += size


def _packed(tune: Tune) -> PackedTune:
    return PackedTune.of(tune) if tune.melodic else NO_TUNE


def _size(packed: PackedTune) -> int:
    return packed.table.nbytes + ENTRY_BYTES
