"""Writing to a space of landmark segments: pieces are made aside, and installed in one step.

Locks are taken in one order, merging before writing; who writes merges only when nobody else does.
"""

import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

from audiosearch.engine.errors import IndexUnavailable, SpaceMissing
from audiosearch.engine.indexes.landmarks_base import LandmarkEntry
from audiosearch.engine.indexes.landmarks_columns import payload_text
from audiosearch.engine.indexes.landmarks_files import DamagedSegment, sync
from audiosearch.engine.indexes.landmarks_ledger import (
    Change,
    SegmentRow,
    changing,
    connect,
    create_ledger,
    read_news,
    translated,
)
from audiosearch.engine.indexes.landmarks_merging import due, due_in_passing
from audiosearch.engine.indexes.landmarks_pieces import (
    Piece,
    digest_of,
    latest_only,
    merge_pieces,
    write_pieces,
)
from audiosearch.engine.indexes.landmarks_reading import WAIT_S, SpaceFolder
from audiosearch.engine.indexes.payloads import Layout

WRITING, MERGING = "writing", "merging"


def create(folder: SpaceFolder, layout: Layout) -> None:
    """Make an empty space, whole or not at all; a no-op where there is one."""
    with folder.locked(WRITING):
        if not folder.ledger.exists():
            with _beside(folder, WRITING) as beside:
                create_ledger(beside.ledger, layout)
                _put_in_place(folder, beside)


def drop(folder: SpaceFolder) -> None:
    """Remove a space; a no-op where there is none."""
    with folder.locked(MERGING), folder.locked(WRITING), _beside(folder, WRITING) as beside:
        if folder.path.exists():
            folder.path.rename(beside.path / "dropped")


def upsert(folder: SpaceFolder, entries: Sequence[LandmarkEntry]) -> None:
    """Write these tracks; one whose landmarks are the same only gets its payload."""
    latest = {entry.payload.item_id: entry for entry in entries}
    digests = {item: digest_of(entry.landmarks) for item, entry in latest.items()}
    with folder.locked(WRITING):
        with _beside(folder, WRITING) as beside, changing(folder.ledger) as change:
            held = change.alive(latest)
            same = {item for item, slot in held.items() if slot.digest == digests[item]}
            change.repay((item, payload_text(latest[item].payload)) for item in same)
            change.bury(held.keys() - same)
            fresh = (entry for item, entry in latest.items() if item not in same)
            _install(folder, change, list(write_pieces(beside.path, fresh)))
        _merge_in_passing(folder)


def delete(folder: SpaceFolder, items: Iterable[int]) -> None:
    """Remove these tracks; their postings stay, unseen, until they are merged away."""
    with folder.locked(WRITING), changing(folder.ledger) as change:
        change.bury(items)
        change.commit()


def rebuild(folder: SpaceFolder, layout: Layout, entries: Iterable[LandmarkEntry]) -> None:
    """Build a space anew beside the old one, merged as far as it goes, and switch."""
    with folder.locked(MERGING), _beside(folder, MERGING) as beside:
        pieces = latest_only(list(write_pieces(beside.path, entries)))
        while rows := due([replace(piece.row, number=n) for n, piece in enumerate(pieces)]):
            chosen = {row.number for row in rows}
            merged = merge_pieces(beside.path, [pieces[number] for number in sorted(chosen)])
            pieces = [piece for n, piece in enumerate(pieces) if n not in chosen]
            pieces += [merged] if merged.slots else []
        with folder.locked(WRITING):
            _clear(folder, WRITING)
            if _readable(folder):
                with changing(folder.ledger) as change:
                    change.relay(layout)
                    old = [row.number for row in change.segments()]
                    _install(folder, change, pieces, instead_of=old)
                return
            with _beside(folder, WRITING) as fresh:
                create_ledger(fresh.ledger, layout)
                with changing(fresh.ledger) as change:
                    _install(fresh, change, pieces)
                _put_in_place(folder, fresh)


def merge(folder: SpaceFolder, *, wait_s: float = WAIT_S) -> None:
    """Merge until nothing is due; queries and other writers go on meanwhile.

    Raises IndexUnavailable when somebody else merges for longer than `wait_s`.
    """
    with folder.locked(MERGING, wait_s):
        while rows := due(_rows(folder)):
            _merge(folder, rows, wait_s=WAIT_S)


def rewrite(folder: SpaceFolder) -> None:
    """Write anew each segment that has dead tracks, so that no file holds anything of them."""
    with folder.locked(MERGING):
        with changing(folder.ledger) as change:
            rows = [
                row
                for row in change.segments()
                if not all(slot.alive for slot in change.slots(row.number))
            ]
        for row in rows:
            _merge(folder, [row], wait_s=WAIT_S)
        _clear(folder, MERGING)
        with folder.locked(WRITING), closing(connect(folder.ledger)) as connection:
            _clear(folder, WRITING)
            busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if busy:
        raise IndexUnavailable("The landmark space is being read; what was erased is in its log.")


def _rows(folder: SpaceFolder) -> list[SegmentRow]:
    with changing(folder.ledger) as change:
        return change.segments()


def _merge_in_passing(folder: SpaceFolder) -> None:
    """Merge small segments while already writing, unless another process merges: it does these."""
    rows = due_in_passing(_rows(folder))
    if not rows:
        return
    try:
        with folder.locked(MERGING, 0):
            _merge(folder, rows, wait_s=None)
    except IndexUnavailable:
        return


def _merge(folder: SpaceFolder, rows: Sequence[SegmentRow], *, wait_s: float | None) -> None:
    """Make one segment of these; `wait_s` is for the lock to write, None when it is held."""
    with _beside(folder, MERGING) as beside:
        with changing(folder.ledger) as change:
            slots = {row.number: change.slots(row.number) for row in rows}
        sources = [Piece(folder.segment(row.number), row.sums, slots[row.number]) for row in rows]
        try:
            merged = merge_pieces(beside.path, sources)
        except (DamagedSegment, FileNotFoundError) as error:
            folder.set_aside()
            raise SpaceMissing(
                f"A segment is damaged; the space must be rebuilt: {error}"
            ) from error
        if wait_s is None:
            _switch(folder, merged, list(slots))
            return
        with folder.locked(WRITING, wait_s):
            _switch(folder, merged, list(slots))


def _switch(folder: SpaceFolder, merged: Piece, sources: Sequence[int]) -> None:
    """Put a merged segment in place of its sources, with what became of its tracks meanwhile."""
    with changing(folder.ledger) as change:
        now = {(s.segment, s.local): s for number in sources for s in change.slots(number)}
        slots = [now[slot.segment, slot.local] for slot in merged.slots]
        pieces = [replace(merged, slots=slots)] if slots else []
        _install(folder, change, pieces, instead_of=sources)


def _install(
    folder: SpaceFolder,
    change: Change,
    pieces: Sequence[Piece],
    *,
    instead_of: Sequence[int] = (),
) -> None:
    """Move pieces into the space and commit the change; what is not listed then is removed."""
    segments = folder.segments
    segments.mkdir(exist_ok=True)
    _sweep(segments, change)
    change.remove(instead_of)
    for piece in pieces:
        number = change.next_segment()
        piece.path.rename(folder.segment(number))
        slots = [replace(s, segment=number, local=local) for local, s in enumerate(piece.slots)]
        change.add(number, piece.sums, slots)
    sync(segments)
    sync(folder.path)
    change.commit()
    _sweep(segments, change)


def _sweep(segments: Path, change: Change) -> None:
    """Remove the folders of no segment: those of the past, and what a crash left."""
    listed = {str(row.number) for row in change.segments()}
    for path in segments.iterdir():
        if path.name not in listed:
            shutil.rmtree(path)


def _readable(folder: SpaceFolder) -> bool:
    if not folder.ledger.exists():
        return False
    try:
        with translated(), closing(connect(folder.ledger)) as connection:
            read_news(connection, 0)
    except SpaceMissing:
        return False
    return True


@contextmanager
def _beside(folder: SpaceFolder, work: str) -> Iterator[SpaceFolder]:
    """A folder to build in, on the same disk; whose work it is removes what a crash left there."""
    _clear(folder, work)
    beside = SpaceFolder(folder.path.parent / f"{folder.path.name}-{work}-{uuid4().hex}")
    beside.path.mkdir()
    try:
        yield beside
    finally:
        shutil.rmtree(beside.path, ignore_errors=True)


def _clear(folder: SpaceFolder, work: str) -> None:
    """Remove what a crash left of this work; to be called by who holds the lock for it."""
    for path in folder.path.parent.glob(f"{folder.path.name}-{work}-*"):
        shutil.rmtree(path)


def _put_in_place(folder: SpaceFolder, beside: SpaceFolder) -> None:
    """Make a space that was built beside the space; one that is there is damaged, and goes."""
    if folder.path.exists():
        shutil.rmtree(folder.path)
    sync(beside.path)
    beside.path.rename(folder.path)
    sync(folder.path.parent)
