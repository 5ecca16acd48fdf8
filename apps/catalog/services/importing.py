"""Importing folders and zip files: one file after the other, resumable, nothing stops the batch."""

import lzma
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from django.conf import settings

from apps.catalog.models import Collection
from apps.catalog.services.adding import add_track, shown_name
from apps.jobs.queue import ANALYSE, enqueue
from audiosearch.engine.audio.formats import SUFFIXES
from audiosearch.engine.errors import EngineError, TooLarge

WAKE_EVERY = 20
MAX_MEMBERS = 100_000
MAX_RATIO = 500
"""Bytes out of one byte of a zip file; silence in a WAV file stays below, a bomb does not."""
UNREADABLE = (
    OSError,
    EOFError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    RuntimeError,  # a member that is encrypted
    NotImplementedError,  # a member packed in a way that Python does not know
)


@dataclass(frozen=True)
class Source:
    """A file to import: its name, its size, the folder it lies in, and where to read it."""

    name: str
    size_bytes: int
    folder: str
    path: Path
    member: str = ""

    @contextmanager
    def on_disk(self) -> Iterator[Path]:
        """A path to the bytes; those of a zip member are unpacked for the while."""
        if not self.member:
            yield self.path
            return
        with (
            tempfile.NamedTemporaryFile(dir=settings.FILE_UPLOAD_TEMP_DIR) as file,
            zipfile.ZipFile(self.path) as archive,
            archive.open(self.member) as packed,
        ):
            info = archive.getinfo(self.member)
            if info.file_size > MAX_RATIO * info.compress_size + (1 << 20):
                raise TooLarge(
                    f"{self.name}: It is packed {MAX_RATIO} times and more, as bombs are."
                )
            left = settings.MAX_FILE_BYTES + 1  # one more than allowed is enough to be refused
            while left > 0 and (chunk := packed.read(min(left, 1 << 20))):
                file.write(chunk)
                left -= len(chunk)
            file.flush()
            yield Path(file.name)


@dataclass
class Summary:
    """What came of an import; `refused` pairs each file with the reason."""

    added: int = 0
    already_there: int = 0
    refused: list[tuple[str, str]] = field(default_factory=list)


def find_sources(paths: Iterable[Path]) -> Iterator[Source]:
    """Every file named, and every audio file in the folders and zip files named, in order.

    Raises TooLarge for a zip file of more than MAX_MEMBERS files.
    """
    for path in paths:
        if path.is_dir():
            for found in sorted(path.rglob("*")):
                if found.suffix.lower() in SUFFIXES and found.is_file():
                    yield _file(found, found.parent.name)
        elif zipfile.is_zipfile(path):
            yield from _members(path)
        else:
            yield _file(path, path.absolute().parent.name)


def _file(path: Path, folder: str) -> Source:
    return Source(shown_name(path.name), path.stat().st_size, shown_name(folder), path)


def _members(path: Path) -> Iterator[Source]:
    with zipfile.ZipFile(path) as archive:
        members = sorted(archive.infolist(), key=lambda member: member.filename)
    if len(members) > MAX_MEMBERS:
        raise TooLarge(f"{path.name} holds {len(members)} files; the limit is {MAX_MEMBERS}.")
    for member in members:
        name = PurePosixPath(member.filename)
        hidden = name.name.startswith(".") or "__MACOSX" in name.parts
        if name.suffix.lower() in SUFFIXES and not member.is_dir() and not hidden:
            folder = shown_name(name.parent.name) if name.parent.name else ""
            yield Source(shown_name(name.name), member.file_size, folder, path, member.filename)


def import_sources(
    sources: Iterable[Source],
    *,
    summary: Summary,
    added_by: Any = None,
    collection: Collection | None = None,
    tags: Iterable[str] = (),
    folder_tags: bool = False,
    kind: str = "",
) -> Iterator[Source]:
    """Add each source and yield it when done; `summary` counts what came of them.

    folder_tags: the name of the folder a file lies in becomes one of its tags.
    """
    for number, source in enumerate(sources, 1):
        labels = [*tags, source.folder] if folder_tags and source.folder else list(tags)
        try:
            with source.on_disk() as path:
                outcome = add_track(
                    source=path,
                    name=source.name,
                    added_by=added_by,
                    collection=collection,
                    tags=labels,
                    kind=kind,
                    wake=False,
                )
        except EngineError as error:
            summary.refused.append((source.name, str(error)))
        except UNREADABLE as error:
            summary.refused.append((source.name, f"{source.name}: it cannot be read ({error})."))
        else:
            summary.added += outcome.created
            summary.already_there += not outcome.created
        if number % WAKE_EVERY == 1:
            enqueue(ANALYSE)
        yield source
    enqueue(ANALYSE)
