"""What a space of landmark segments consists of, as rows of one SQLite file.

A transaction is the switch from one generation to the next: segments are complete on disk before
the rows that name them are committed, so whatever a crash leaves, the old or the new one is whole.
"""

import errno
import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from audiosearch.engine.errors import IndexUnavailable, SpaceMissing
from audiosearch.engine.indexes.landmarks_files import Sums
from audiosearch.engine.indexes.payloads import Layout

FORMAT = 1
WAIT_S = 30.0
SCHEMA = """
CREATE TABLE space (format INTEGER, layout TEXT, version INTEGER, last_segment INTEGER);
CREATE TABLE segments (number INTEGER PRIMARY KEY, postings INTEGER, sums TEXT);
CREATE TABLE slots (
    segment INTEGER, local INTEGER, item INTEGER, alive INTEGER, postings INTEGER, digest BLOB,
    payload TEXT, version INTEGER, PRIMARY KEY (segment, local)
) WITHOUT ROWID;
CREATE UNIQUE INDEX alive_items ON slots (item) WHERE alive;
CREATE INDEX versions ON slots (version);
"""
DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)
"""SQLITE_ERROR: a table or column is missing."""


@dataclass(frozen=True)
class Slot:
    """One track of a segment: the item it is of, and whether that is still what it holds.

    payload: see `landmarks_columns.payload_text`; empty once dead. digest: of its landmarks.
    """

    segment: int
    local: int
    item: int
    alive: bool
    postings: int
    digest: bytes
    payload: str


@dataclass(frozen=True)
class SegmentRow:
    """A segment, how many postings it has in all, and how many of those are of dead tracks."""

    number: int
    postings: int
    dead: int
    sums: Sums


@dataclass(frozen=True)
class News:
    """What a reader learns: all segments, and the slots that changed after the version asked."""

    version: int
    layout: Layout
    segments: list[SegmentRow]
    slots: list[Slot]


def create_ledger(path: Path, layout: Layout) -> None:
    """Make the file of an empty space. Raises IndexUnavailable."""
    with translated(), closing(connect(path, create=True)) as connection:
        connection.executescript("BEGIN;" + SCHEMA)
        row = (FORMAT, json.dumps(asdict(layout)), 0, 0)
        connection.execute("INSERT INTO space VALUES (?, ?, ?, ?)", row)
        connection.execute("COMMIT")


def connect(path: Path, *, create: bool = False) -> sqlite3.Connection:
    """A connection that any thread may use, one at a time; what is deleted is overwritten."""
    address = f"{path.absolute().as_uri()}?mode={'rwc' if create else 'rw'}"
    connection = sqlite3.connect(
        address, uri=True, timeout=WAIT_S, isolation_level=None, check_same_thread=False
    )
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA secure_delete = ON")
    return connection


@contextmanager
def translated() -> Iterator[None]:
    """Errors of SQLite and of the disk as those of an index."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise IndexUnavailable("The disk is full; it goes on once there is room.") from error
        raise IndexUnavailable("The landmark index cannot be read or written now.") from error
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_BUSY) & 0xFF
        if code in DAMAGED:
            raise SpaceMissing("The list of landmark segments is damaged; rebuild it.") from error
        if code == sqlite3.SQLITE_FULL:
            raise IndexUnavailable("The disk is full; it goes on once there is room.") from error
        raise IndexUnavailable("The landmark index cannot be read or written now.") from error


def read_news(connection: sqlite3.Connection, after: int) -> News:
    """All that is current, read at one moment. `after`: the last version that is known."""
    connection.execute("BEGIN")
    try:
        row = connection.execute("SELECT format, layout, version FROM space").fetchone()
        if row is None or row[0] != FORMAT:
            raise SpaceMissing("The landmark space is of another format and must be rebuilt.")
        return News(row[2], _layout(row[1]), _segments(connection), _slots(connection, after))
    finally:
        connection.execute("ROLLBACK")


def _layout(text: str) -> Layout:
    held = json.loads(text)
    return Layout(held["item"], *(tuple(held[n]) for n in ("integers", "texts", "text_lists")))


def _segments(connection: sqlite3.Connection) -> list[SegmentRow]:
    rows = connection.execute(
        "SELECT number, postings, (SELECT coalesce(sum(slots.postings), 0) FROM slots"
        " WHERE segment = number AND NOT alive), sums FROM segments ORDER BY number"
    )
    return [
        SegmentRow(number, postings, dead, {k: (v[0], v[1]) for k, v in json.loads(sums).items()})
        for number, postings, dead, sums in rows
    ]


def _slots(connection: sqlite3.Connection, after: int) -> list[Slot]:
    rows = connection.execute(
        "SELECT segment, local, item, alive, postings, digest, payload FROM slots"
        " WHERE version > ?",
        (after,),
    )
    return [Slot(row[0], row[1], row[2], bool(row[3]), *row[4:]) for row in rows]


class Change:
    """One generation in the making; everything is seen at once, when it is committed."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        (before,) = connection.execute("SELECT version FROM space").fetchone()
        self.version = before + 1

    def next_segment(self) -> int:
        """A number that no segment had before."""
        self._connection.execute("UPDATE space SET last_segment = last_segment + 1")
        return int(self._connection.execute("SELECT last_segment FROM space").fetchone()[0])

    def alive(self, items: Iterable[int]) -> dict[int, Slot]:
        """The slots of those of these items that the space holds."""
        found = {}
        for item in items:
            row = self._connection.execute(
                "SELECT segment, local, item, alive, postings, digest, payload FROM slots"
                " WHERE item = ? AND alive",
                (item,),
            ).fetchone()
            if row:
                found[item] = Slot(*row)
        return found

    def bury(self, items: Iterable[int]) -> None:
        """These items are no more, and neither are their payloads."""
        self._connection.executemany(
            "UPDATE slots SET alive = 0, payload = '', digest = x'', version = ?"
            " WHERE item = ? AND alive",
            ((self.version, item) for item in items),
        )

    def repay(self, payloads: Iterable[tuple[int, str]]) -> None:
        """Give items another payload, and leave their landmarks."""
        self._connection.executemany(
            "UPDATE slots SET payload = ?, version = ? WHERE item = ? AND alive",
            ((payload, self.version, item) for item, payload in payloads),
        )

    def add(self, number: int, sums: Sums, slots: Sequence[Slot]) -> None:
        """A segment with its tracks."""
        total = sum(slot.postings for slot in slots)
        self._connection.execute(
            "INSERT INTO segments VALUES (?, ?, ?)", (number, total, json.dumps(sums))
        )
        self._connection.executemany(
            "INSERT INTO slots VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                (number, s.local, s.item, s.alive, s.postings, s.digest, s.payload, self.version)
                for s in slots
            ),
        )

    def slots(self, number: int) -> list[Slot]:
        """The tracks of a segment in their order; none when it is gone."""
        rows = self._connection.execute(
            "SELECT segment, local, item, alive, postings, digest, payload FROM slots"
            " WHERE segment = ? ORDER BY local",
            (number,),
        )
        return [Slot(row[0], row[1], row[2], bool(row[3]), *row[4:]) for row in rows]

    def segments(self) -> list[SegmentRow]:
        """All that there are."""
        return _segments(self._connection)

    def remove(self, numbers: Iterable[int]) -> None:
        """Segments and their tracks."""
        gone = [(number,) for number in numbers]
        self._connection.executemany("DELETE FROM slots WHERE segment = ?", gone)
        self._connection.executemany("DELETE FROM segments WHERE number = ?", gone)

    def relay(self, layout: Layout) -> None:
        """The space has these columns from now on."""
        self._connection.execute("UPDATE space SET layout = ?", (json.dumps(asdict(layout)),))

    def commit(self) -> None:
        """The switch."""
        self._connection.execute("UPDATE space SET version = ?", (self.version,))
        self._connection.execute("COMMIT")


@contextmanager
def changing(path: Path) -> Iterator[Change]:
    """A change of a space, which is undone unless it is committed. Writers come one at a time.

    Raises SpaceMissing when the file is missing or damaged, and IndexUnavailable.
    """
    if not path.exists():
        raise SpaceMissing("There is no such landmark space.")
    with translated(), closing(connect(path)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield Change(connection)
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
