"""Long lists of keys in pieces that a database takes as parameters."""

from collections.abc import Collection, Iterator
from typing import TypeVar

T = TypeVar("T")
AT_ONCE = 1_000


def in_pieces(keys: Collection[T], size: int = AT_ONCE) -> Iterator[list[T]]:
    """The same keys, at most `size` at a time, in order."""
    listed = list(keys)
    for start in range(0, len(listed), size):
        yield listed[start : start + size]
