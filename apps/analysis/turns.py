"""How many queries may use the processor at once, and how many the model."""

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore, Condition

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


@contextmanager
def query_slot() -> Iterator[None]:
    """One of the few places in which a query may decode and encode; Busy after a short wait."""
    with _slots.taken(current_visitor(), settings.QUERY_WAIT_S):
        yield


@contextmanager
def model_turn() -> Iterator[None]:
    """As many at once in the model as have cores to themselves: more would only be slower."""
    with _turns:
        yield
