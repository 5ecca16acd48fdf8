"""Whether whoever sent a request still waits for its answer."""

from collections.abc import Awaitable, Callable, Mapping
from threading import Event
from typing import Any

GONE = "audiosearch.gone"
"""In META, where the server can tell: an Event that is set when the connection has been closed."""


async def tell_when_gone(receive: Callable[[], Awaitable[Mapping[str, Any]]], gone: Event) -> None:
    """Set `gone` when the connection is closed; to be run once all of the body was received."""
    while (await receive())["type"] != "http.disconnect":
        pass
    gone.set()
