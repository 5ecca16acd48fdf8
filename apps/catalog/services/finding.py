"""What there is to import in folders and zip files, and what is passed over there, and why."""

import os
import stat
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from apps.catalog.names import is_litter, shown_name, shown_path
from apps.catalog.services.zip_names import member_names
from audiosearch.engine.audio.formats import SUFFIXES
from audiosearch.engine.errors import TooLarge

MAX_MEMBERS = 100_000
MAX_RATIO = 500
"""Bytes out of one byte of a zip file; silence in a WAV file stays below, a bomb does not."""
HIDDEN = "It is hidden, or left behind by a file manager."
OWN_DATA = "It belongs to audiosearch's own data, which is never imported."
LINKED_FOLDER = "It is a link to a folder; name that folder itself to import what is in it."
BROKEN_LINK = "It is a link that leads nowhere."
ZIPPED_LINK = "It is a link; zip the file that it leads to."
ZIP_IN_FOLDER = "It is a zip file in a folder; name it itself to import what is in it."
ZIP_IN_ZIP = "It is a zip file inside of a zip file; unpack it first."
SPECIAL = "It is neither a file nor a folder."


@dataclass(frozen=True)
class PassedOver:
    """What is not even tried, and why."""

    where: str
    reason: str


@dataclass(frozen=True)
class Source:
    """A file to import: where it is told to be, its name, the folder it lies in, how to read it."""

    where: str
    name: str
    folder: str
    path: Path
    member: zipfile.ZipInfo | None = None

    @contextmanager
    def on_disk(self) -> Iterator[Path]:
        """A path to the bytes; those of a zip member are unpacked for the while."""
        if self.member is None:
            yield self.path
            return
        with (
            tempfile.NamedTemporaryFile(dir=settings.FILE_UPLOAD_TEMP_DIR) as file,
            zipfile.ZipFile(self.path) as archive,
            archive.open(self.member) as packed,
        ):
            if self.member.file_size > MAX_RATIO * self.member.compress_size + (1 << 20):
                raise TooLarge(
                    f"{self.name}: It is packed {MAX_RATIO} times and more, as bombs are."
                )
            left = settings.MAX_FILE_BYTES + 1  # one more than allowed is enough to be refused
            while left > 0 and (chunk := packed.read(min(left, 1 << 20))):
                file.write(chunk)
                left -= len(chunk)
            file.flush()
            yield Path(file.name)


Found = Source | PassedOver


def find_sources(paths: Iterable[Path]) -> Iterator[Found]:
    """Every file named, and every file in the folders and zip files named, in order.

    Raises TooLarge for a zip file of more than MAX_MEMBERS files.
    """
    own = _own_data()
    for path in paths:
        try:
            mode = path.stat().st_mode
            inside = _is_within(path, own)
        except OSError as error:
            yield _unreadable(path, error)
            continue
        if inside:
            yield _passed(path, OWN_DATA)
        elif stat.S_ISDIR(mode):
            yield from _in_folder(path, own)
        elif is_litter(path.name):
            yield _passed(path, HIDDEN)
        elif not stat.S_ISREG(mode):
            yield _passed(path, SPECIAL)
        elif zipfile.is_zipfile(path):
            yield from _in_zip(path)
        else:
            yield _file(path)


def _own_data() -> set[tuple[int, int]]:
    """Device and number of the folders that hold our data, whatever else they may be called."""
    folders = (Path(settings.DATA_DIR), Path(settings.MEDIA_ROOT))
    return {_identity(folder.stat()) for folder in folders if folder.is_dir()}


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _is_within(path: Path, folders: set[tuple[int, int]]) -> bool:
    """Whether a path, or where it leads as a link, is one of these folders or below one."""
    real = path.resolve()
    return any(_identity(each.stat()) in folders for each in (real, *real.parents))


def _in_folder(folder: Path, own: set[tuple[int, int]]) -> Iterator[Found]:
    waiting = _children(folder)
    while waiting:
        path = waiting.pop()
        try:
            status = path.lstat()
            if reason := _why_not(path, status, own):
                yield _passed(path, reason)
            elif stat.S_ISDIR(status.st_mode):
                waiting += _children(path)
            else:
                yield _file(path)
        except OSError as error:
            yield _unreadable(path, error)


def _children(folder: Path) -> list[Path]:
    """What is in a folder, last first."""
    return sorted(folder.iterdir(), reverse=True)


def _why_not(path: Path, status: os.stat_result, own: set[tuple[int, int]]) -> str:
    """Why a file or folder found in a folder is passed over; "" if it is not."""
    if is_litter(path.name):
        return HIDDEN
    if stat.S_ISLNK(status.st_mode):
        try:
            status = path.stat()
        except OSError:
            return BROKEN_LINK
        if _is_within(path, own):
            return OWN_DATA
        if stat.S_ISDIR(status.st_mode):
            return LINKED_FOLDER
    if stat.S_ISDIR(status.st_mode):
        return OWN_DATA if _identity(status) in own else ""
    if not stat.S_ISREG(status.st_mode):
        return SPECIAL
    return _why_not_named(path.name, ZIP_IN_FOLDER)


def _why_not_named(name: str, if_zip: str) -> str:
    suffix = Path(name).suffix.lower()
    if suffix == ".zip":
        return if_zip
    if suffix in SUFFIXES:
        return ""
    ends = f"ends in {shown_path(suffix)}" if suffix else "has no ending"
    return f"Its name {ends}; recordings are told by {', '.join(sorted(SUFFIXES))}."


def _file(path: Path) -> Source:
    folder = shown_name(path.absolute().parent.name)
    return Source(shown_path(str(path)), shown_name(path.name), folder, path)


def _passed(path: Path, reason: str) -> PassedOver:
    return PassedOver(shown_path(str(path)), reason)


def _unreadable(path: Path, error: Exception) -> PassedOver:
    why = getattr(error, "strerror", None) or str(error)
    return _passed(path, f"It cannot be read ({why}).")


def _in_zip(path: Path) -> Iterator[Found]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        yield _unreadable(path, error)
        return
    if len(members) > MAX_MEMBERS:
        raise TooLarge(f"{path.name} holds {len(members)} files; the limit is {MAX_MEMBERS}.")
    names = member_names(members, unreadable=path.stem)
    for name, member in sorted(zip(names, members, strict=True), key=lambda pair: pair[0]):
        if not name.endswith("/"):
            yield _member(path, name, member)


def _member(path: Path, name: str, member: zipfile.ZipInfo) -> Found:
    where = f"{shown_path(str(path))}/{name}"
    *folders, last = [part for part in name.split("/") if part not in ("", ".", "..")] or [""]
    if any(map(is_litter, [*folders, last])):
        return PassedOver(where, HIDDEN)
    if stat.S_ISLNK(member.external_attr >> 16):
        return PassedOver(where, ZIPPED_LINK)
    if reason := _why_not_named(last, ZIP_IN_ZIP):
        return PassedOver(where, reason)
    folder = shown_name(folders[-1]) if folders else ""
    return Source(where, shown_name(last), folder, path, member)
