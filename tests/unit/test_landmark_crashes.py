"""A process that writes landmark segments is killed at each step; the old or the new one is whole.

The process is a fork, and the signal SIGKILL: nothing of it runs on.
"""

import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audiosearch.engine.errors import IndexUnavailable
from audiosearch.engine.indexes import landmarks_files, landmarks_writing
from audiosearch.engine.indexes.landmarks_ledger import Change
from audiosearch.engine.indexes.landmarks_segments import SegmentIndex
from tests.landmark_index_contract import EVERYTHING, SPACE, TRACKS, asked, best, made
from tests.waiting import wait_until

STEPS = (
    (landmarks_files.np, "save"),
    (landmarks_writing, "create_ledger"),
    (Path, "mkdir"),
    (Path, "rename"),
    (landmarks_writing.shutil, "rmtree"),
    (Change, "next_segment"),
    (Change, "remove"),
    (Change, "add"),
    (Change, "commit"),
)
"""Before each call of one of these the process dies once."""
Work = Callable[[SegmentIndex], Any]


def killed_at(step: int, work: Callable[[], Any]) -> bool:
    """Do the work in a fork that dies at its `step`th step; False when there are fewer."""
    child = os.fork()
    if not child:
        try:
            steps_left = [step]
            for owner, name in STEPS:
                setattr(owner, name, _deadly(getattr(owner, name), steps_left))
            work()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


def _deadly(function: Callable[..., Any], steps_left: list[int]) -> Callable[..., Any]:
    def call(*args: Any, **options: Any) -> Any:
        steps_left[0] -= 1
        if not steps_left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **options)

    return call


def add(index: SegmentIndex) -> None:
    index.upsert(SPACE, [made(2, tags=("new",)), made(3), made(4)])


def replace(index: SegmentIndex) -> None:
    index.rebuild(SPACE, TRACKS, [made(3), made(4)])


def remove(index: SegmentIndex) -> None:
    index.delete_items(SPACE, [1])


def drop(index: SegmentIndex) -> None:
    index.drop_space(SPACE)


def merge(index: SegmentIndex) -> None:
    index.merge(SPACE)


def rewrite(index: SegmentIndex) -> None:
    index.rewrite(SPACE)


OLD = {1, 2, 10, 11}


@pytest.mark.parametrize(
    ("work", "new"),
    [
        pytest.param(add, OLD | {3, 4}, marks=pytest.mark.exhaustive),
        (replace, {3, 4}),
        pytest.param(remove, OLD - {1}, marks=pytest.mark.exhaustive),
        (merge, OLD),
        pytest.param(rewrite, OLD, marks=pytest.mark.exhaustive),
        pytest.param(drop, None, marks=pytest.mark.exhaustive),
    ],
)
def test_a_crash_at_any_step_leaves_one_generation_whole(
    tmp_path: Path, work: Work, new: set[int] | None
) -> None:
    whole = SegmentIndex(tmp_path / "whole")
    whole.create_space(SPACE, TRACKS)
    whole.upsert(SPACE, [made(1), made(2)])
    whole.upsert(SPACE, [made(10), made(11), made(12)])
    whole.delete_items(SPACE, [12])
    step, outcomes = 0, []
    while True:
        step += 1
        root = shutil.copytree(tmp_path / "whole", tmp_path / str(step))
        before = SegmentIndex(root)
        if step % 4 == 1:
            assert there(before) == OLD  # so that it has files open
        if not killed_at(step, lambda root=root: work(SegmentIndex(root))):  # type: ignore[misc]
            break
        outcomes.append(there(SegmentIndex(root)))
        assert outcomes[-1] in (OLD, new)
        if step % 4 == 1:
            assert there(before) == outcomes[-1]
            assert_heals(SegmentIndex(root), root)
    assert outcomes[0] == OLD
    assert step > (1 if work is remove else 3)
    assert outcomes == sorted(outcomes, key=lambda outcome: outcome != OLD)


def there(index: SegmentIndex) -> set[int] | None:
    """The tracks that the space has, all of which are found; None when there is no space."""
    if SPACE not in index.spaces():
        return None
    items = set(index.item_lengths(SPACE))
    assert index.count_items(SPACE, EVERYTHING) == len(items)
    for item in (1, 3, 4, 10, 12):
        assert best(index, asked(item)) == (item if item in items else None)
    return items


def assert_heals(index: SegmentIndex, root: Path) -> None:
    """The next writer goes on, and leaves nothing of what the crash left."""
    if SPACE in index.spaces():
        index.upsert(SPACE, [made(5)])
        assert best(index, asked(5)) == 5
        index.delete_items(SPACE, [12])
        index.rewrite(SPACE)
    else:
        index.create_space(SPACE, TRACKS)
    index.merge(SPACE)
    index.upsert(SPACE, [made(6)])
    (space,) = (path for path in root.iterdir() if path.is_dir() and "merging" not in path.name)
    assert len(list((space / "segments").iterdir())) == len(index._state(SPACE).parts)
    index.rebuild(SPACE, TRACKS, [made(7)])
    assert there(index) == {7}
    assert [path for path in root.iterdir() if path.is_dir()] == [space]


@pytest.mark.parametrize("name", ["create", pytest.param("rebuild", marks=pytest.mark.exhaustive)])
def test_a_crash_while_a_space_is_made(tmp_path: Path, name: str) -> None:
    """There is none, or it is whole."""
    step = 0
    while True:
        step += 1
        root = tmp_path / str(step)

        def work(root: Path = root) -> None:
            index = SegmentIndex(root)
            if name == "create":
                index.create_space(SPACE, TRACKS)
            else:
                index.rebuild(SPACE, TRACKS, [made(3), made(4)])

        if not killed_at(step, work):
            break
        fresh = SegmentIndex(root)
        assert there(fresh) in (None, {3, 4} if name == "rebuild" else set())
        fresh.rebuild(SPACE, TRACKS, [made(4)])
        assert there(fresh) == {4}
        assert len([path for path in root.iterdir() if path.is_dir()]) == 1
    assert step > 3


def test_killed_at_any_moment(tmp_path: Path) -> None:
    """Whatever was told to be written is there, and nothing is half there."""
    index = SegmentIndex(tmp_path)
    index.create_space(SPACE, TRACKS)
    best(index, asked(1))
    rng, written = random.Random(3), tmp_path / "written"
    first = 1
    for _ in range(4):
        child = os.fork()
        if not child:
            try:
                _write_for_ever(tmp_path, first, written)
            finally:
                os._exit(1)
        wait_until(lambda first=first: told_of(written) >= first)  # type: ignore[misc]
        time.sleep(rng.uniform(0, 0.2))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        told = told_of(written)
        items = set(index.item_lengths(SPACE))
        most = max(told, first - 1) + 2  # it may be killed before it tells
        assert set(range(1, told + 1)) <= items <= set(range(1, most + 1))
        assert len(items) % 2 == 0
        for item in items - set(range(1, told - 3)):
            assert best(index, asked(item)) == item
        first = max(items, default=0) + 1
    assert first > 4


def told_of(written: Path) -> int:
    return int(written.read_text()) if written.exists() else 0


def _write_for_ever(root: Path, first: int, written: Path) -> None:
    """Tracks by twos, each told of once it is written."""
    index = SegmentIndex(root)
    for item in range(first, 10_000, 2):
        index.upsert(SPACE, [made(item), made(item + 1)])
        aside = written.with_suffix(".new")
        aside.write_text(str(item + 1))
        aside.replace(written)


def test_a_full_disk_leaves_the_old_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = SegmentIndex(tmp_path)
    index.create_space(SPACE, TRACKS)
    index.upsert(SPACE, [made(1)])
    save = np.save

    def full(file: Any, array: Any, **options: Any) -> None:
        if "blocks" in str(file):
            raise OSError(28, "No space left on device")
        save(file, array, **options)

    monkeypatch.setattr(landmarks_files.np, "save", full)
    with pytest.raises(IndexUnavailable, match="full"):
        index.upsert(SPACE, [made(2)])
    with pytest.raises(IndexUnavailable, match="full"):
        index.rebuild(SPACE, TRACKS, [made(2)])
    monkeypatch.undo()
    assert there(index) == {1}
    index.upsert(SPACE, [made(2)])
    assert there(index) == {1, 2}
