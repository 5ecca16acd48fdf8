"""How many queries may use the processor at once, and how many the model."""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from threading import BoundedSemaphore, Condition, Lock
from typing import Any

from django.conf import settings

from apps.access.visitors import current_visitor
from audiosearch.engine.errors import Busy


class Slots:
    """Places that are shared out: nobody holds more than `each`, and who holds fewest comes first.

    Who waits already as often as they may hold is turned away at once, so that nobody's waiting
    takes the room of others. `who` is empty for work of our own, which has no share.
    """

    def __init__(self, count: int, each: int) -> None:
        self._free = count
        self._each = each
        self._held: Counter[str] = Counter()
        self._waiting: Counter[str] = Counter()
        self._changed = Condition()

    @contextmanager
    def taken(self, who: str, wait_s: float) -> Iterator[None]:
        """Hold a place; raises Busy when none comes free for `who` in time."""
        with self._changed:
            self._wait(who, wait_s)
            self._free -= 1
            self._held[who] += 1
        try:
            yield
        finally:
            with self._changed:
                self._free += 1
                self._held[who] -= 1
                self._held += Counter()  # forgets who holds nothing
                self._changed.notify_all()

    def _wait(self, who: str, wait_s: float) -> None:
        if who and self._waiting[who] >= self._each:
            raise Busy(ENOUGH)
        self._waiting[who] += 1
        try:
            if not self._changed.wait_for(lambda: self._may(who), wait_s):
                raise Busy(ENOUGH if self._full(who) else TOO_MANY)
        finally:
            self._waiting[who] -= 1
            self._waiting += Counter()
            self._changed.notify_all()  # those behind may be next

    def _may(self, who: str) -> bool:
        if not self._free or self._full(who):
            return False
        return not any(
            self._held[other] < self._held[who] and not self._full(other) for other in self._waiting
        )

    def _full(self, who: str) -> bool:
        return bool(who) and self._held[who] >= self._each


TOO_MANY = "Too many searches at once; try again in a few seconds."
ENOUGH = "Several of your searches are under way; try again when one of them is done."
_slots = Slots(settings.MAX_CONCURRENT_QUERIES, settings.MAX_QUERIES_EACH)
_cores = len(os.sched_getaffinity(0))
_turns = BoundedSemaphore(max(_cores // (settings.ENCODER_THREADS or _cores), 1))


_in_slot: ContextVar[bool] = ContextVar("in_slot", default=False)


@contextmanager
def query_slot() -> Iterator[None]:
    """One of the few places in which a query may decode and encode; Busy after a short wait.

    Whoever is in one already needs no other: a query has one, whatever it asks.
    """
    if _in_slot.get():
        yield
        return
    with _slots.taken(current_visitor(), settings.QUERY_WAIT_S), _inside():
        yield


@contextmanager
def shared_slot() -> Iterator[Callable[[Future[Any]], None]]:
    """A slot for work in several threads, each in a copy of the context of this block.

    Gives the function that takes the future of each; the slot is held until the block and all of
    them are done, those too that nobody waits for any more.
    """
    held = ExitStack()
    held.enter_context(_slots.taken(current_visitor(), settings.QUERY_WAIT_S))
    share = _Share(held.close)
    try:
        with _inside():
            yield share.add
    finally:
        share.leave()


class _Share:
    """Counts those who hold something together, and releases it when the last has left."""

    def __init__(self, release: Callable[[], None]) -> None:
        self._release, self._holders, self._lock = release, 1, Lock()

    def add(self, future: Future[Any]) -> None:
        with self._lock:
            self._holders += 1
        future.add_done_callback(lambda _: self.leave())

    def leave(self) -> None:
        with self._lock:
            self._holders -= 1
            is_last = not self._holders
        if is_last:
            self._release()


@contextmanager
def _inside() -> Iterator[None]:
    token = _in_slot.set(True)
    try:
        yield
    finally:
        _in_slot.reset(token)


@contextmanager
def model_turn() -> Iterator[None]:
    """As many at once in the model as have cores to themselves: more would only be slower."""
    with _turns:
        yield
