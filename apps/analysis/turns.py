"""How many queries may use the processor at once, and how many the model."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore

from django.conf import settings

from audiosearch.engine.errors import Busy

_slots = BoundedSemaphore(settings.MAX_CONCURRENT_QUERIES)
_cores = len(os.sched_getaffinity(0))
_turns = BoundedSemaphore(max(_cores // (settings.ENCODER_THREADS or _cores), 1))


@contextmanager
def query_slot() -> Iterator[None]:
    """One of the few places in which a query may decode and encode; Busy after a short wait."""
    if not _slots.acquire(timeout=settings.QUERY_WAIT_S):
        raise Busy("Too many searches at once; try again in a few seconds.")
    try:
        yield
    finally:
        _slots.release()


@contextmanager
def model_turn() -> Iterator[None]:
    """As many at once in the model as have cores to themselves: more would only be slower."""
    with _turns:
        yield
