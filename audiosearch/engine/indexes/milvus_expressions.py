"""Filters as Milvus expressions.

Milvus has no usable bound parameters (filter templates work neither in Lite nor in the 2.3 server),
so every text is spelled in an alphabet that means nothing to the expression's grammar before it is
stored and before it is asked for. No input can then change the expression, by construction.
"""

from collections.abc import Iterable, Iterator
from urllib.parse import quote

from audiosearch.engine.indexes.base import MAX_WINDOWS_PER_ITEM
from audiosearch.engine.indexes.filters import AllOf, AnyOf, Between, Condition, Filter, NoneOf

LARGEST = 2**63 - 1
"""Of a Milvus INT64; its parser refuses what is beyond, and the smallest, -(2**63), too."""
EXACT_PARTS = 16


def encode_text(text: str) -> str:
    """Spell any text in `A-Z a-z 0-9 _ . - ~ %` (percent-encoded UTF-8, RFC 3986); one to one.

    Up to 12 times as long as the text has characters. Lone surrogates are kept apart too.
    """
    return quote(text, safe="", errors="surrogatepass")


def to_expression(where: Filter) -> str:
    """The expression that holds for exactly the windows of the items `where` allows.

    Empty when the filter asks nothing. Columns: see `milvus_schema.columns_of`.
    """
    return all_of(*(clause for each in where.conditions for clause in _clauses(each)))


def all_of(*expressions: str) -> str:
    """The expression that holds where all of these do; an empty one always does."""
    return " and ".join(filter(None, expressions))


def items_expression(column: str, item_ids: Iterable[int]) -> str:
    """The expression that holds for exactly the windows of these items."""
    return f"{column} in {_values(item_ids)}"


def first_windows(column: str, *, lite: bool) -> str:
    """The expression that holds for window 0 of every item, of which each has one.

    Lite knows no remainder, and the server compares no two columns.
    """
    if lite:
        return f"id == {column} * {MAX_WINDOWS_PER_ITEM}"
    return f"id % {MAX_WINDOWS_PER_ITEM} == 0"


def exact_parts(column: str) -> list[str]:
    """Expressions that together hold for all items, each for so few that Milvus compares them all
    rather than walk a graph: it does where a filter leaves less than 7 %."""
    return [f"{column} % {EXACT_PARTS} == {rest}" for rest in range(EXACT_PARTS)]


def _clauses(condition: Condition) -> Iterator[str]:
    match condition:
        case AllOf(column, [_, *_] as values):
            # one clause for all: the server refuses expressions 50 levels deep
            yield f"array_contains_all({column}, {_values(values)})"
        case AnyOf(column, [_, *_] as values):
            yield f"{column} in {_values(values)}"
        case NoneOf(column, [_, *_] as values):
            yield f"{column} not in {_values(values)}"
        case Between(column, low, high):
            for operator, bound in ((">=", low), ("<=", high)):
                if bound is not None:
                    yield f"{column} {operator} {max(-LARGEST, min(int(bound), LARGEST))}"


def _values(values: Iterable[int] | Iterable[str]) -> str:
    """A list of texts or of numbers, without the numbers that no row can hold."""
    spelled = (
        f'"{encode_text(value)}"' if isinstance(value, str) else str(int(value))
        for value in values
        if isinstance(value, str) or -LARGEST <= value <= LARGEST
    )
    return "[" + ", ".join(spelled) + "]"
