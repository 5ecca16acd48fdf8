"""A test marked `alone` waits for those that run, and those that come after it wait for it."""

from pathlib import Path
from threading import Thread

from tests.turns import Turns


def test_in_turn(tmp_path: Path) -> None:
    first, alone, last = (Turns(tmp_path) for _ in range(3))
    first.enter()
    waiting = [Thread(target=alone.enter, kwargs={"alone": True}), Thread(target=last.enter)]
    for thread in waiting:
        thread.start()
        thread.join(0.2)
        assert thread.is_alive()
    first.leave()
    waiting[0].join(10)
    assert not waiting[0].is_alive()
    waiting[1].join(0.2)
    assert waiting[1].is_alive()
    alone.leave()
    waiting[1].join(10)
    assert not waiting[1].is_alive()
    last.leave()
