"""Who asks: what is shared out or counted, is so for each user, else for each address."""

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from django.http import HttpRequest, HttpResponse
from rest_framework.throttling import BaseThrottle

from audiosearch.web.leaving import GONE

_request: ContextVar[HttpRequest | None] = ContextVar("request", default=None)


def address_of(request: Any) -> str:
    """Where a request comes from: the peer, or what the last of PROXIES says of it."""
    return str(BaseThrottle().get_ident(request) or "")[:64]


def visitor_of(request: Any) -> str:
    """The user who sent a request, or the address of somebody who is not signed in."""
    user = request.user
    return f"user:{user.pk}" if user.is_authenticated else f"address:{address_of(request)}"


def current_visitor() -> str:
    """Who sent the request that is being answered; empty outside of one."""
    request = _request.get()
    return visitor_of(request) if request else ""


def visitor_left() -> bool:
    """Whether who sent it has closed the connection, as far as the server tells."""
    request = _request.get()
    return bool(request and GONE in request.META and request.META[GONE].is_set())


def know_visitor(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware: `current_visitor` and `visitor_left` until the request is answered.

    The user is asked for only then: REST framework finds that of a token later than middlewares.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        token = _request.set(request)
        try:
            return get_response(request)
        finally:
            _request.reset(token)

    return middleware
