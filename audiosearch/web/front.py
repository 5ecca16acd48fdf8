"""What stands before Django: it takes the bodies in, so that no work waits for somebody to send,
and gives probes threads of their own."""

import asyncio
import io
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

from django.conf import settings
from django.core.handlers.wsgi import WSGIRequest
from rest_framework.throttling import BaseThrottle

from audiosearch.web.bodies import (
    Arriving,
    BodyCut,
    BodyTooLong,
    Receive,
    Waiting,
    discard,
    read_whole,
)
from audiosearch.web.bridge import Answer, Send, WsgiApp, answer_of, environ_of, send_rest
from audiosearch.web.errors import refusal
from audiosearch.web.leaving import GONE, tell_when_gone
from audiosearch.web.overload import ARRIVING, LIVE, PROBES, UPLOADS_REASON

THREADS = 48
DISCARD_S = 5
DISCARD_BYTES = 64 << 20
READ_WITHIN_S = 60
TOO_SLOW = "The request came too slowly, so it was given up; send it again on a faster connection."
NO_LENGTH = "Say how long the body is (Content-Length): without it only {} KB are taken."


class Front:
    """An ASGI application: bodies by what `docs/operating.md` says of them, then the WSGI one."""

    def __init__(self, app: WsgiApp) -> None:
        self.app = app
        self.small = settings.MAX_FORM_BYTES
        self.waiting = Waiting(settings.MAX_WAITING_BODIES)
        self.uploads: Counter[str] = Counter()
        self._work = _threads("work", THREADS)
        self._uploads = _threads("upload", settings.MAX_CONCURRENT_UPLOADS)
        self._live = _threads("live", 1)
        self._probes = _threads("probe", 2)

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers = dict(scope["headers"])
        length = int(headers.get(b"content-length", b"0"))
        if length > self.small:
            await self._upload(scope, receive, send, length)
        elif length or b"transfer-encoding" in headers:
            await self._small(scope, receive, send)
        else:
            await self._answer(environ_of(scope, io.BytesIO(), 0), receive, send)

    async def _small(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """What has a small body is worked on when all of it is there."""
        try:
            body = await read_whole(
                receive,
                at_most=self.small,
                within_s=settings.BODY_WITHIN_S,
                address=_address(environ_of(scope, io.BytesIO(), 0)),
                waiting=self.waiting,
            )
        except BodyCut:
            await _send_whole(_refusal(scope, 408, TOO_SLOW), send)
        except BodyTooLong:
            message = NO_LENGTH.format(self.small >> 10)
            await self._refuse(_refusal(scope, 411, message), receive, send)
        else:
            await self._answer(environ_of(scope, io.BytesIO(body), len(body)), receive, send)

    async def _upload(
        self, scope: Mapping[str, Any], receive: Receive, send: Send, length: int
    ) -> None:
        """What has a large body is handed over at once, so that it is read only if it may be."""
        arriving = Arriving(
            receive,
            length,
            pace=settings.SLOWEST_BYTES_PER_S,
            pause_s=settings.BODY_WITHIN_S,
            within_s=settings.UPLOAD_WITHIN_S,
        )
        environ = environ_of(scope, io.BufferedReader(arriving, 1 << 16), length)
        environ[ARRIVING] = True
        environ[GONE] = arriving.gone
        address = _address(environ)
        most = settings.MAX_CONCURRENT_UPLOADS
        if self.uploads.total() >= most or self.uploads[address] >= max(1, most // 2):
            await self._refuse(_refusal(scope, 503, UPLOADS_REASON), receive, send)
            return
        self.uploads[address] += 1
        try:
            answer = await answer_of(self.app, environ, self._uploads)
        finally:
            arriving.stop_watching()
            self.uploads[address] -= 1
            self.uploads += Counter()  # forgets whoever has none
        if arriving.cut:
            await _send_whole(_refusal(scope, 408, TOO_SLOW), send)
        elif arriving.more and answer.rest is None:
            await self._refuse(answer, receive, send)
        else:
            await self._send(answer, send, self._uploads)

    async def _answer(self, environ: dict[str, Any], receive: Receive, send: Send) -> None:
        threads = self._work
        if environ["PATH_INFO"] in PROBES:
            threads = self._live if environ["PATH_INFO"] == LIVE else self._probes
        gone = environ[GONE] = Event()
        watching = asyncio.create_task(tell_when_gone(receive, gone))
        try:
            answer = await answer_of(self.app, environ, threads)
        finally:
            watching.cancel()
        await self._send(answer, send, threads)

    async def _send(self, answer: Answer, send: Send, threads: ThreadPoolExecutor) -> None:
        if answer.rest is None:
            await _send_whole(answer, send)
            return
        start = {"status": answer.status, "headers": answer.headers}
        await send({"type": "http.response.start", **start})
        await send_rest(answer, send, threads, within_s=READ_WITHIN_S)
        await send({"type": "http.response.body", "body": b""})

    async def _refuse(self, answer: Answer, receive: Receive, send: Send) -> None:
        """Answer before the body was read; the sender may finish sending, or he would not see it.

        Of no stated length, as the server closes when it has sent what was stated.
        """
        kept = [
            pair for pair in answer.headers if pair[0] not in (b"content-length", b"connection")
        ]
        headers = [*kept, (b"connection", b"close")]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.whole, "more_body": True})
        await discard(receive, at_most=DISCARD_BYTES, within_s=DISCARD_S)
        await send({"type": "http.response.body", "body": b""})


async def _send_whole(answer: Answer, send: Send) -> None:
    start = {"status": answer.status, "headers": answer.headers}
    await send({"type": "http.response.start", **start})
    await send({"type": "http.response.body", "body": answer.whole})


def _threads(name: str, count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count, thread_name_prefix=name)


def _address(environ: dict[str, Any]) -> str:
    """Where a request comes from, as PROXIES has it."""
    request: Any = WSGIRequest(environ)
    return str(BaseThrottle().get_ident(request) or "")[:64]


def _refusal(scope: Mapping[str, Any], status: int, message: str) -> Answer:
    """An answer of the front itself, in the shape that errors have at this address."""
    request = WSGIRequest(environ_of(scope, io.BytesIO(), 0))
    response = refusal(request, status, message)
    response["Connection"] = "close"
    answer = Answer()
    answer.start(str(response.status_code), list(response.items()))
    answer.whole = response.content
    return answer
