"""A WSGI application below an ASGI server: its threads work, and wait for no network.

Libraries for this hold a thread for as long as somebody reads an answer, and for good when he
leaves in the middle.
"""

import asyncio
import contextvars
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import IO, Any
from urllib.parse import unquote_to_bytes

from audiosearch.web.prefix import mount

Send = Callable[[Mapping[str, Any]], Awaitable[None]]
WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
PIECE = 1 << 18
"""Bytes of a long answer that a thread reads before others have a turn."""


def environ_of(scope: Mapping[str, Any], body: IO[bytes], length: int) -> dict[str, Any]:
    """A request as PEP 3333 has it; `length` bytes are in the body."""
    raw_path = scope.get("raw_path") or scope["path"].encode()
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": scope.get("root_path", ""),
        "PATH_INFO": unquote_to_bytes(raw_path.partition(b"?")[0]).decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "SERVER_NAME": (scope.get("server") or ("localhost", 80))[0],
        "SERVER_PORT": str((scope.get("server") or ("localhost", 80))[1]),
        "REMOTE_ADDR": (scope.get("client") or ("", 0))[0],
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.get("scheme", "http"),
        "wsgi.input": body,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in scope["headers"]:
        if b"_" in name:
            continue  # it would pass for another header, which a proxy looked at
        key = "HTTP_" + name.decode("latin-1").upper().replace("-", "_")
        text = value.decode("latin-1")
        if key == "HTTP_CONTENT_TYPE":
            environ["CONTENT_TYPE"] = text
        elif key not in ("HTTP_CONTENT_LENGTH", "HTTP_TRANSFER_ENCODING"):
            glue = "; " if key == "HTTP_COOKIE" else ","
            environ[key] = f"{environ[key]}{glue}{text}" if key in environ else text
    environ["CONTENT_LENGTH"] = str(length)
    mount(environ)
    return environ


class Answer:
    """What the application answers: at once whole, or piece by piece."""

    def __init__(self) -> None:
        self.status = 500
        self.headers: list[tuple[bytes, bytes]] = []
        self.whole = b""
        self.rest: Iterable[bytes] | None = None
        self._pieces: Iterator[bytes] = iter(())

    def start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
        self.status = int(status[:3])
        self.headers = [(k.lower().encode("latin-1"), v.encode("latin-1")) for k, v in headers]

    def work(self, app: WsgiApp, environ: dict[str, Any]) -> None:
        """In a thread: what is short is done with; what is long is left in `rest`."""
        answer = app(environ, self.start)
        if getattr(answer, "streaming", False):
            self.rest, self._pieces = answer, iter(answer)
            return
        try:
            self.whole = b"".join(answer)
        finally:
            _close(answer)

    def piece(self) -> bytes:
        """In a thread: what comes next of a long answer; empty at its end."""
        piece = bytearray()
        for some in self._pieces:
            piece += some
            if len(piece) >= PIECE:
                break
        return bytes(piece)

    def close(self) -> None:
        """In a thread, when a long answer is over, or nobody wants the rest."""
        _close(self.rest)


def _close(answer: Any) -> None:
    close = getattr(answer, "close", None)
    if close:
        close()


async def answer_of(app: WsgiApp, environ: dict[str, Any], threads: ThreadPoolExecutor) -> Answer:
    """The answer of a WSGI application to a request, as far as it is short."""
    answer = Answer()
    context = contextvars.copy_context()
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(threads, context.run, answer.work, app, environ)
    return answer


async def send_rest(
    answer: Answer, send: Send, threads: ThreadPoolExecutor, *, within_s: float
) -> None:
    """Send a long answer, each piece taken `within_s`; raises TimeoutError. No thread waits."""
    loop = asyncio.get_running_loop()
    try:
        while piece := await loop.run_in_executor(threads, answer.piece):
            async with asyncio.timeout(within_s):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
    finally:
        await loop.run_in_executor(threads, answer.close)
