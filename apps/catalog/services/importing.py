"""Importing folders and zip files: one file after the other, resumable, nothing stops the batch."""

import lzma
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from apps.catalog.models import Collection
from apps.catalog.services.adding import add_track
from apps.catalog.services.finding import Found, PassedOver, Source
from apps.jobs.queue import ANALYSE, enqueue
from audiosearch.engine.errors import EngineError, OverQuota

WAKE_EVERY = 20
NOT_TRIED = "It was not tried, as there was no room any more."
ADDED, THERE, REFUSED, PASSED_OVER = "added", "already there", "refused", "passed over"
UNREADABLE = (
    OSError,
    EOFError,
    ValueError,  # a member whose own header names it in bytes that are no text
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    RuntimeError,  # a member that is encrypted
    NotImplementedError,  # a member packed in a way that Python does not know
)


@dataclass(frozen=True)
class Outcome:
    """What came of one file, and why if it was not added."""

    where: str
    outcome: str
    reason: str = ""


@dataclass
class Summary:
    """What came of an import: how many of each outcome, and those that were not added."""

    counts: Counter[str] = field(default_factory=Counter)
    left_out: list[Outcome] = field(default_factory=list)

    def count(self, done: Outcome) -> None:
        self.counts[done.outcome] += 1
        if done.outcome in (REFUSED, PASSED_OVER):
            self.left_out.append(done)


def import_sources(
    sources: Iterable[Found],
    *,
    added_by: Any = None,
    collection: Collection | None = None,
    tags: Iterable[str] = (),
    folder_tags: bool = False,
    kind: str = "",
) -> Iterator[Outcome]:
    """Add each source, and yield what came of it.

    folder_tags: the name of the folder a file lies in becomes one of its tags.
    Raises OverQuota, after the last, when there was no room for all: none is tried then.
    """
    common = {"added_by": added_by, "collection": collection, "kind": kind}
    full: OverQuota | None = None
    try:
        for number, source in enumerate(sources, 1):
            if isinstance(source, PassedOver):
                yield Outcome(source.where, PASSED_OVER, source.reason)
                continue
            if full:
                yield Outcome(source.where, PASSED_OVER, NOT_TRIED)
                continue
            labels = [*tags, source.folder] if folder_tags and source.folder else list(tags)
            try:
                done = _import(source, tags=labels, **common)
            except OverQuota as error:
                full, done = error, Outcome(source.where, PASSED_OVER, str(error))
            yield done
            if number % WAKE_EVERY == 1:
                enqueue(ANALYSE)
    finally:  # also of an import that is broken off
        enqueue(ANALYSE)
    if full:
        raise full


def _import(source: Source, **options: Any) -> Outcome:
    try:
        with source.on_disk() as path:
            added = add_track(source=path, name=source.name, wake=False, **options)
    except OverQuota:
        raise
    except EngineError as error:
        return Outcome(source.where, REFUSED, str(error).removeprefix(f"{source.name}: "))
    except FileNotFoundError:
        return Outcome(source.where, REFUSED, "It has gone meanwhile.")
    except UNREADABLE as error:
        return Outcome(source.where, REFUSED, f"It cannot be read ({error}).")
    return Outcome(source.where, ADDED if added.created else THERE)
