"""The names in a zip file, whose encoding most programs do not tell."""

import struct
import unicodedata
import zlib
from collections.abc import Sequence
from pathlib import PurePosixPath
from zipfile import ZipInfo

from audiosearch.engine.audio.charsets import readable

_SAYS_UTF8 = 0x800
_UNICODE_PATH = 0x7075
"""Info-ZIP's extra field: version 1, the CRC-32 of the plain name, the name in UTF-8."""


def member_names(members: Sequence[ZipInfo], *, unreadable: str) -> list[str]:
    """The paths of the members in NFC, parted by slashes.

    unreadable: what those are called, with a number, that cannot be read.
    """
    told = [_told_name(member) for member in members]
    untold = [_raw(member) for member, name in zip(members, told, strict=True) if name is None]
    guessed = iter(readable(untold, own="cp437"))
    names = (next(guessed) if name is None else name for name in told)
    return [
        unicodedata.normalize("NFC", name).replace("\\", "/") or _numbered(member, unreadable, at)
        for at, (name, member) in enumerate(zip(names, members, strict=True), 1)
    ]


def _raw(member: ZipInfo) -> bytes:
    """The name as it lies in the file, which Python has read as CP437."""
    return member.orig_filename.partition("\0")[0].encode("cp437")


def _told_name(member: ZipInfo) -> str | None:
    if member.flag_bits & _SAYS_UTF8:
        return member.filename
    extra = member.extra
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<HH", extra)
        field, extra = extra[4 : 4 + length], extra[4 + length :]
        if kind == _UNICODE_PATH and len(field) > 5 and field[0] == 1:
            checked = int.from_bytes(field[1:5], "little") == zlib.crc32(_raw(member))
            return readable([field[5:]], own="utf-8")[0] or None if checked else None
    return None


def _numbered(member: ZipInfo, unreadable: str, number: int) -> str:
    suffix = PurePosixPath(_raw(member).decode("ascii", "ignore")).suffix
    return f"{unreadable} {number}{suffix}"
