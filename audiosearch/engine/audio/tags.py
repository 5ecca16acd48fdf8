"""What a file says of itself, in text that can be read; for the decoder process only.

FFmpeg hands tags over as bytes: an ID3v2 text that claims to be Latin-1 as the UTF-8 of that, all
others as they lie in the file. APEv2 tags of MP3 files it leaves out, so they are read here.
"""

import os
import re
import struct
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, Any

from audiosearch.engine.audio.charsets import readable, unwrapped

RAW = "latin-1"
"""The `metadata_encoding` to open a container with: each character of a tag is one byte of it."""
MAX_BYTES = 20_000
"""Of one tag."""
MAX_APE_BYTES, MAX_APE_ITEMS = 1 << 20, 500
_APE = struct.Struct("<8sIIII8x")
_ID3V1_BYTES = 128
_NO_TEXT = 0b110
"""Flags of an item that is bytes, or an address."""


@dataclass(frozen=True)
class Unread:
    """What FFmpeg leaves out of a file's tags, and whether it begins with an ID3v2 tag."""

    ape: dict[str, bytes]
    has_id3v2: bool


def unread_tags(file: IO[bytes]) -> Unread:
    """To be given to `own_tags`."""
    file.seek(0)
    return Unread(has_id3v2=file.read(3) == b"ID3", ape=ape_tags(file))


def own_tags(container: Any, stream: Any, unread: Unread) -> dict[str, str]:
    """Title, artist, album, comment … in lower-case keys; what cannot be read is left out.

    The container must have been opened with RAW. An APEv2 tag counts for more than an ID3v1 tag,
    whose texts end after 30 bytes, and for less than an ID3v2 tag.
    """
    merged = {
        key.lower(): value.encode(RAW)[:MAX_BYTES]
        for key, value in {**container.metadata, **stream.metadata}.items()
    }
    return _read({**unread.ape, **merged} if unread.has_id3v2 else {**merged, **unread.ape})


def ape_tags(file: IO[bytes]) -> dict[str, bytes]:
    """The texts of an APEv2 tag at the end of a file, in lower-case keys; none is no error.

    Source: APEv2 specification, https://wiki.hydrogenaud.io/index.php?title=APEv2_specification
    """
    end = file.seek(0, os.SEEK_END)
    for behind in (0, _ID3V1_BYTES):
        if end < behind + _APE.size:
            break
        file.seek(end - behind - _APE.size)
        magic, _, size, count, _ = _APE.unpack(file.read(_APE.size))
        if magic == b"APETAGEX" and _APE.size <= size <= min(MAX_APE_BYTES, end - behind):
            file.seek(end - behind - size)
            return _ape_items(file.read(size - _APE.size), min(count, MAX_APE_ITEMS))
    return {}


def _ape_items(packed: bytes, count: int) -> dict[str, bytes]:
    """An item is the length of its value, flags, key, NUL and value; NULs part several values."""
    items: dict[str, bytes] = {}
    at = 0
    for _ in range(count):
        key_end = packed.find(b"\0", at + 8, at + 8 + 256)
        if key_end < 0:
            break
        length, flags = struct.unpack_from("<II", packed, at)
        key, at = packed[at + 8 : key_end].decode(RAW).lower(), key_end + 1 + length
        if not flags & _NO_TEXT:
            value = packed[key_end + 1 : at][:MAX_BYTES]
            items.setdefault(key, value.rstrip(b"\0").replace(b"\0", b"; "))
    return items


def _read(raw: Mapping[str, bytes]) -> dict[str, str]:
    """The same decoded together, as they have one origin."""
    texts = readable([unwrapped(value) for value in raw.values()], own="cp1252")
    cleaned = {key: clean(text) for key, text in zip(raw, texts, strict=True)}
    return {key: text for key, text in cleaned.items() if text}


def clean(text: str) -> str:
    """NFC, without control characters; "" for what some program has lost and put signs for."""
    if "\ufffd" in text or re.fullmatch(r"[?\s]*\?\?[?\s]*", text):
        return ""
    kept = (char for char in text if char in "\t\n\r" or unicodedata.category(char) != "Cc")
    return unicodedata.normalize("NFC", "".join(kept)).strip(" \t\n\r\ufeff")
