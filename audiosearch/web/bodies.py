"""The bodies of requests as they arrive: small ones whole before anything works on them, large ones
as they are read; each with a deadline and a pace, and none holding what others need."""

import asyncio
import io
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import contextmanager
from threading import Event
from typing import Any

from audiosearch.web.leaving import tell_when_gone

Receive = Callable[[], Awaitable[Mapping[str, Any]]]


class BodyCut(OSError):
    """A body that came too slowly, gave way to others, or whose sender left; an OSError, which
    whoever reads a body has to expect."""


class BodyTooLong(Exception):
    """A body of no stated length that is longer than it may be."""


class Waiting:
    """The places of what waits for its sender: `most` at once; the newest is never turned away.

    When all are taken, the oldest of the address that holds most gives way, so that somebody who
    sends at the usual speed is never kept out by those who do not.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._by_address: dict[str, list[asyncio.Timeout]] = defaultdict(list)
        self._taken = 0

    @contextmanager
    def place(self, address: str, limit: asyncio.Timeout) -> Iterator[None]:
        """Held for as long as the body is waited for; `limit` ends at once if it has to go."""
        if self._taken >= self.most:
            most = max(self._by_address.values(), key=len)
            most[0].reschedule(asyncio.get_running_loop().time())
            self._leave(most[0])
        self._by_address[address].append(limit)
        self._taken += 1
        try:
            yield
        finally:
            self._leave(limit)

    def _leave(self, limit: asyncio.Timeout) -> None:
        """Take a place back; once, though who gave way leaves again by itself."""
        for address, limits in self._by_address.items():
            if limit in limits:
                limits.remove(limit)
                self._taken -= 1
                if not limits:
                    del self._by_address[address]
                return

    def __len__(self) -> int:
        return self._taken


async def read_whole(
    receive: Receive, *, at_most: int, within_s: float, address: str, waiting: Waiting
) -> bytes:
    """A body of up to `at_most` bytes. Raises BodyCut or BodyTooLong."""
    body = bytearray()
    try:
        async with asyncio.timeout(within_s) as limit:
            with waiting.place(address, limit):
                more = True
                while more:
                    chunk, more = _content(await receive())
                    body += chunk
                    if len(body) > at_most:
                        raise BodyTooLong
    except TimeoutError as error:
        raise BodyCut("The body did not arrive in time.") from error
    return bytes(body)


def _content(message: Mapping[str, Any]) -> tuple[bytes, bool]:
    """What a message brings, and whether more comes. Raises BodyCut when nobody is there."""
    if message["type"] != "http.request":
        raise BodyCut("The sender left before the body was whole.")
    return message.get("body", b""), message.get("more_body", False)


class Arriving(io.RawIOBase):
    """A large body, for the thread that reads it; its readers get BodyCut when it is cut.

    Counted is only the time that is spent waiting for the sender: he may pause for `pause_s`, and
    has that much again with every `pause_s * pace` bytes; all of it has to be there `within_s`.
    """

    def __init__(
        self, receive: Receive, length: int, *, pace: float, pause_s: float, within_s: float
    ) -> None:
        super().__init__()
        self._receive = receive
        self._missing = length
        self._loop = asyncio.get_running_loop()
        self._pace, self._pause_s = pace, pause_s
        self._credit_s = pause_s
        self._deadline = self._loop.time() + within_s
        self._rest = memoryview(b"")
        self.cut = False
        self.gone = Event()
        self._watching: asyncio.Task[None] | None = None

    @property
    def more(self) -> bool:
        """Whether something is still to come."""
        return self._missing > 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """From a thread that is not the loop's."""
        while not self._rest and self.more:
            coming = asyncio.run_coroutine_threadsafe(self.next(), self._loop)
            try:  # the loop keeps the time; twice that long says that it has ended
                self._rest = memoryview(coming.result(2 * self._pause_s + 1))
            except FutureTimeout as error:
                coming.cancel()
                raise BodyCut("The service is stopping.") from error
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    async def next(self) -> bytes:
        """What comes next; raises BodyCut."""
        began = self._loop.time()
        try:
            async with asyncio.timeout_at(min(began + self._credit_s, self._deadline)):
                chunk, more = _content(await self._receive())
        except (TimeoutError, BodyCut) as error:
            self._missing, self.cut = 0, True
            raise BodyCut("The body came too slowly.") from error
        self._missing = self._missing - len(chunk) if more else 0
        if not self.more:
            self._watching = self._loop.create_task(tell_when_gone(self._receive, self.gone))
        waited_s = self._loop.time() - began
        earned_s = len(chunk) / self._pace
        self._credit_s = min(self._pause_s, self._credit_s - waited_s + earned_s)
        return chunk

    def stop_watching(self) -> None:
        """Nobody asks `gone` any more; to be called in the loop."""
        if self._watching is not None:
            self._watching.cancel()


async def discard(receive: Receive, *, at_most: int, within_s: float) -> None:
    """Let the sender of a refused body finish, within bounds: he reads the answer afterwards."""
    left = at_most
    try:
        async with asyncio.timeout(within_s):
            more = True
            while more and left > 0:
                chunk, more = _content(await receive())
                left -= len(chunk)
    except (TimeoutError, BodyCut):
        return
