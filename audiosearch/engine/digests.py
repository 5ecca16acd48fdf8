"""SHA-256 of what is kept; of what is written here, the digest is kept at its end.

So it comes and goes with the bytes that it tells of, and reading checks it without asking anybody.
"""

import hashlib
import io
import os
from pathlib import Path
from typing import BinaryIO

MARK = b"sha256:"
SIZE = len(MARK) + 64
"""Bytes of a mark and the digest as hexadecimal; no multiple of 4, so it passes for no floats."""
CHUNK = 1 << 20


class Damaged(ValueError):
    """The bytes are not those that were written."""


def sha256_of(path: Path) -> str:
    """The digest of a file, as hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def with_digest(content: bytes) -> bytes:
    """The same bytes, and behind them their digest."""
    return content + MARK + hashlib.sha256(content).hexdigest().encode()


def without_digest(content: bytes) -> bytes:
    """The bytes before the digest; all where there is none. Raises Damaged."""
    return content[:-SIZE] if has_digest(io.BytesIO(content)) else content


def has_digest(file: BinaryIO) -> bool:
    """Whether a file ends in the digest of what is before it; it is left at its beginning.

    Raises Damaged for one that ends in another digest.
    """
    left = file.seek(0, os.SEEK_END) - SIZE
    if left < 0:
        file.seek(0)
        return False
    file.seek(left)
    end = file.read()
    file.seek(0)
    digest = hashlib.sha256()
    while chunk := file.read(min(left, CHUNK)):
        digest.update(chunk)
        left -= len(chunk)
    file.seek(0)
    if end[len(MARK) :] == digest.hexdigest().encode():
        return True
    if end.startswith(MARK):
        raise Damaged("The bytes are not those that were written.")
    return False
