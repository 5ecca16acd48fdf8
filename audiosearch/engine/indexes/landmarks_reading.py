"""Reading a space of landmark segments: where it lies, and what of it a process holds open."""

import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock

from audiosearch.engine.arrays import BoolArray
from audiosearch.engine.errors import IndexUnavailable, SpaceMissing
from audiosearch.engine.indexes.filters import Filter
from audiosearch.engine.indexes.landmarks_columns import FILTERS, Columns, Row
from audiosearch.engine.indexes.landmarks_files import DamagedSegment, SegmentFiles, open_segment
from audiosearch.engine.indexes.landmarks_ledger import (
    News,
    SegmentRow,
    connect,
    read_news,
    translated,
)
from audiosearch.engine.indexes.landmarks_voting import Segment, opened_blocks
from audiosearch.engine.indexes.milvus_schema import encode_space
from audiosearch.engine.indexes.payloads import Layout

WAIT_S = 30.0
POLL_S = 0.01
ATTEMPTS = 5


@dataclass(frozen=True)
class SpaceFolder:
    """The folder of a space, with its ledger and its segments, and the locks beside it."""

    path: Path

    @classmethod
    def of(cls, root: Path, space: str) -> "SpaceFolder":
        return cls(root / encode_space(space))

    @property
    def ledger(self) -> Path:
        return self.path / "ledger.sqlite3"

    @property
    def segments(self) -> Path:
        return self.path / "segments"

    def segment(self, number: int) -> Path:
        return self.segments / str(number)

    def set_aside(self) -> None:
        """From now on there is no such space, for anybody, until it is rebuilt."""
        with suppress(FileNotFoundError):
            self.ledger.replace(self.ledger.with_suffix(".damaged"))

    @contextmanager
    def locked(self, work: str, wait_s: float = WAIT_S) -> Iterator[None]:
        """Alone among all processes and threads at this kind of work on this space.

        Raises IndexUnavailable when others are at it for longer than `wait_s`.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with (self.path.parent / f"{self.path.name}.{work}.lock").open("w") as file:
            deadline = time.monotonic() + wait_s
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError as error:
                    if time.monotonic() >= deadline:
                        raise IndexUnavailable("Others are writing to the space.") from error
                    time.sleep(POLL_S)
            yield


@dataclass(frozen=True)
class Part:
    """A segment that is open, with what is known of its tracks."""

    row: SegmentRow
    files: SegmentFiles
    columns: Columns
    segment: Segment

    def __post_init__(self) -> None:
        object.__setattr__(self, "opened", lru_cache(FILTERS)(self.opened))

    def opened(self, where: Filter) -> BoolArray:
        """Which blocks are of tracks that satisfy the filter, as `opened_blocks` has it."""
        return opened_blocks(self.segment, self.columns.allowed(where))


@dataclass(frozen=True)
class State:
    """One generation of a space; it can be read for as long as somebody holds it."""

    version: int
    layout: Layout
    parts: dict[int, Part]


class SpaceReader:
    """What a process holds of one space; each `state` costs two system calls when nothing changed.

    Safe to call from several threads. A process forked off opens its own.
    """

    def __init__(self, folder: SpaceFolder) -> None:
        self._folder = folder
        self._lock = Lock()
        self._connection: sqlite3.Connection | None = None
        self._opened: tuple[int, int, int] = (0, 0, 0)
        self._seen = -1
        self._state: State | None = None

    def state(self) -> State:
        """The current generation. Raises SpaceMissing and IndexUnavailable."""
        with self._lock, translated():
            connection = self._connected()
            (seen,) = connection.execute("PRAGMA data_version").fetchone()
            if self._state is None or seen != self._seen:
                self._state = self._refreshed(connection, self._state)
                self._seen = seen
            return self._state

    def _connected(self) -> sqlite3.Connection:
        try:
            file = self._folder.ledger.stat()
        except FileNotFoundError as error:
            raise SpaceMissing("The landmark index has no such space.") from error
        opened = (os.getpid(), file.st_dev, file.st_ino)
        if self._connection is None or opened != self._opened:
            if self._connection is not None and opened[0] == self._opened[0]:
                self._connection.close()
            self._connection, self._opened = connect(self._folder.ledger), opened
            self._state = None
        return self._connection

    def _refreshed(self, connection: sqlite3.Connection, held: State | None) -> State:
        """The newest generation; what is known already is not read again."""
        for attempt in range(1, ATTEMPTS + 1):
            news = read_news(connection, held.version if held else 0)
            try:
                return _opened(self._folder, news, held)
            except (FileNotFoundError, DamagedSegment) as error:
                # Segments merged meanwhile are gone from the disk, and from the next news.
                if attempt == ATTEMPTS or read_news(connection, news.version).version == (
                    news.version
                ):
                    self._folder.set_aside()
                    raise SpaceMissing(
                        f"A landmark segment is damaged; the space must be rebuilt: {error}"
                    ) from error
            except OSError as error:
                raise IndexUnavailable("A landmark segment cannot be read now.") from error
        raise AssertionError


def _opened(folder: SpaceFolder, news: News, held: State | None) -> State:
    changed: dict[int, list[Row]] = {}
    for slot in news.slots:
        changed.setdefault(slot.segment, []).append(Row(slot.local, slot.alive, slot.payload))
    parts = {}
    for row in news.segments:
        rows = changed.get(row.number, [])
        part = held.parts.get(row.number) if held else None
        if part is None:
            files = open_segment(folder.segment(row.number), row.sums)
            columns = Columns.of(news.layout, len(files.tracks), rows)
            segment = files.laid_out(columns.item_ids)
            parts[row.number] = Part(row, files, columns, segment)
        elif rows:
            columns = part.columns.put(rows)
            parts[row.number] = Part(row, part.files, columns, part.segment)
        else:
            parts[row.number] = part
    return State(news.version, news.layout, parts)
