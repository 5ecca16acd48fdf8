"""More requests than the machine can answer: some are refused at once, so that the others are not
answered too late. Without this all would wait in line, longer and longer."""

from collections.abc import Callable
from threading import BoundedSemaphore

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from audiosearch.web.errors import unavailable

WAIT_S = 0.5
PROBES = ("/api/v1/live/", "/api/v1/ready/", "/metrics")
LARGE_BYTES = 1 << 20
"""A body so large takes its time on the network, and must not keep others waiting for it."""
CHUNK = 1 << 16
REASON = "Too many requests at once; try again in a few seconds."


def shed_load(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware: 503 with Retry-After for what finds no turn within half a second."""
    turns = BoundedSemaphore(settings.MAX_CONCURRENT_REQUESTS)

    def middleware(request: HttpRequest) -> HttpResponse:
        if request.path in PROBES or _length(request) > LARGE_BYTES:
            return get_response(request)
        if not turns.acquire(timeout=WAIT_S):
            while request.read(CHUNK):
                pass  # a body that nobody reads would break the connection before the answer
            return unavailable(request, REASON)
        try:
            return get_response(request)
        finally:
            turns.release()

    return middleware


def _length(request: HttpRequest) -> int:
    told = request.META.get("CONTENT_LENGTH") or "0"
    return int(told) if told.isdecimal() else 0
