"""The shelf of tunes: loaded once, whoever asks; the ones asked for last are kept."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from audiosearch.engine.tunes.field import made_tune
from audiosearch.engine.tunes.packing import PackedTune
from audiosearch.engine.tunes.representation import Tune
from audiosearch.engine.tunes.shelf import TuneShelf

FRAMES = 100
ROOM = 10_000
"""Bytes that one tune of FRAMES takes, and some more."""
TUNELESS, ABSENT = 70, 80


class Loader:
    """Counts what is loaded; the first to load waits for `after` others to have asked."""

    def __init__(self) -> None:
        self.loads: Counter[int] = Counter()
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, track_id: int) -> Tune | None:
        self.gate.wait(10)
        self.loads[track_id] += 1
        if track_id == ABSENT:
            return None
        return Tune.without_melody(0.1) if track_id == TUNELESS else made_tune(track_id, FRAMES)


def test_tunes_are_loaded_once_and_not_copied() -> None:
    load = Loader()
    shelf = TuneShelf(load, most_bytes=20 * ROOM)
    first = shelf.tunes([3, 1, 2])
    again = shelf.tunes([2, 3])
    assert first.item_ids == [3, 1, 2]
    assert again.item_ids == [2, 3]
    assert again.packed[1] is first.packed[0]
    assert np.array_equal(first.packed[1].table, PackedTune.of(made_tune(1, FRAMES)).table)
    assert max(load.loads.values()) == 1


def test_what_holds_no_tune_is_left_out() -> None:
    """… and not loaded again; what was not there may be there the next time."""
    load = Loader()
    shelf = TuneShelf(load, most_bytes=20 * ROOM)
    for _ in range(2):
        assert shelf.tunes([1, TUNELESS, ABSENT, 1]).item_ids == [1]
    assert load.loads == {1: 1, TUNELESS: 1, ABSENT: 2}


def test_those_asked_for_last_are_kept() -> None:
    load = Loader()
    shelf = TuneShelf(load, most_bytes=3 * ROOM)
    shelf.tunes([1, 2, 3])
    shelf.tunes([1])
    shelf.tunes([4])
    assert 0 < shelf.nbytes <= 3 * ROOM
    shelf.tunes([1, 3, 4])
    assert load.loads == {1: 1, 2: 1, 3: 1, 4: 1}
    shelf.tunes([2])
    assert load.loads[2] == 2


def test_asking_for_more_than_there_is_room_for() -> None:
    """All are given, and what is kept of them stays when all are asked for again."""
    load = Loader()
    shelf = TuneShelf(load, most_bytes=3 * ROOM)
    for _ in range(2):
        assert shelf.tunes(range(5)).item_ids == [0, 1, 2, 3, 4]
    assert shelf.nbytes <= 3 * ROOM
    assert sum(load.loads.values()) == 5 + 2


def test_threads_that_ask_for_the_same_load_it_once() -> None:
    load = Loader()
    shelf = TuneShelf(load, most_bytes=50 * ROOM)
    load.gate.clear()
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(shelf.tunes, range(n, n + 6)) for n in range(4)]
        load.gate.set()
        found = [one.result(20) for one in asked]
    assert [one.item_ids for one in found] == [list(range(n, n + 6)) for n in range(4)]
    assert found[0].packed[5] is found[3].packed[2]
    assert set(load.loads.values()) == {1}


def test_what_cannot_be_loaded_is_told_to_all_and_tried_again() -> None:
    begun, told = threading.Event(), threading.Event()
    broken = [True]

    def load(track_id: int) -> Tune | None:
        begun.set()
        told.wait(10)
        if broken[0]:
            raise OSError(track_id)
        return made_tune(track_id, FRAMES)

    shelf = TuneShelf(load, most_bytes=3 * ROOM)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(shelf.tunes, [1, 2])
        begun.wait(10)
        second = pool.submit(shelf.tunes, [2])
        told.set()
        for one in (first, second):
            with pytest.raises(OSError, match=r"[12]"):
                one.result(20)
    broken[0] = False
    assert shelf.tunes([1, 2]).item_ids == [1, 2]
