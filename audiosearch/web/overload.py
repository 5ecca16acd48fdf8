"""More requests than the machine can answer: some are refused at once, so that the others are not
answered too late. Without this all would wait in line, longer and longer."""

from collections.abc import Callable
from threading import BoundedSemaphore

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from audiosearch.web.errors import unavailable

WAIT_S = 0.5
LIVE = "/api/v1/live/"
PROBES = (LIVE, "/api/v1/ready/", "/metrics")
ARRIVING = "audiosearch.arriving"
"""In META of what has a body that is still to come: it takes its time, and has places of its own,
so that nobody else waits for it."""
UPLOADS_REASON = "Too many files are being sent at once; try again in a minute."
REASON = "Too many requests at once; try again in a few seconds."


def shed_load(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware: 503 with Retry-After for what finds no turn within half a second."""
    turns = BoundedSemaphore(settings.MAX_CONCURRENT_REQUESTS)

    def middleware(request: HttpRequest) -> HttpResponse:
        if request.path_info in PROBES or ARRIVING in request.META:
            return get_response(request)
        if not turns.acquire(timeout=WAIT_S):
            return unavailable(request, REASON)
        try:
            return get_response(request)
        finally:
            turns.release()

    return middleware
