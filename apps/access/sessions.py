"""The sessions of browsers: where they were last seen, and how they end."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.sessions.models import Session
from django.db import DatabaseError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from ua_parser import parse

from apps.access.audit import note
from apps.access.login import ip_address
from apps.access.models import AuditAction, BrowserSession
from audiosearch.web.overload import PROBES

log = logging.getLogger(__name__)
SEEN_EVERY = timedelta(minutes=1)
AGENT = 300
"""Characters of what a browser says of itself."""


def follow_sessions(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware: note where sessions are seen, and end those idle for SESSION_IDLE_MINUTES."""

    def middleware(request: HttpRequest) -> HttpResponse:
        has_session = settings.SESSION_COOKIE_NAME in request.COOKIES
        if has_session and request.path_info not in PROBES and request.user.is_authenticated:
            _follow(request)
        return get_response(request)

    return middleware


def _follow(request: HttpRequest) -> None:
    now = timezone.now()
    idle = timedelta(minutes=settings.SESSION_IDLE_MINUTES)
    found = BrowserSession.objects.filter(pk=request.session.session_key).first()
    if found and idle and found.seen_at < now - idle:
        note(AuditAction.SESSION_ENDED, by=request.user, request=request, why="idle")
        logout(request)
        messages.info(request, "You were away for long, so you were logged out. Log in again.")
    elif found is None or found.seen_at < now - SEEN_EVERY:
        try:
            note_session(request)
        except DatabaseError as error:  # somebody writes for long; the page matters more
            log.warning("the use of a session was not noted: %s", error)


def note_session(request: HttpRequest) -> None:
    """This request's session is seen now, by this browser and from this address."""
    seen = {
        "user": request.user,
        "address": ip_address(request),
        "agent": request.headers.get("User-Agent", "")[:AGENT],
        "seen_at": timezone.now(),
    }
    BrowserSession.objects.update_or_create(pk=request.session.session_key, defaults=seen)


@dataclass(frozen=True)
class ShownSession:
    """A session as its owner sees it."""

    number: Any
    browser: str
    address: str
    began_at: datetime
    seen_at: datetime
    is_this: bool


def sessions_of(user: Any) -> QuerySet[BrowserSession]:
    """The user's sessions that go on, last seen first."""
    going_on = BrowserSession.objects.filter(user=user, session__expire_date__gt=timezone.now())
    if settings.SESSION_IDLE_MINUTES:
        idle = timedelta(minutes=settings.SESSION_IDLE_MINUTES)
        going_on = going_on.filter(seen_at__gt=timezone.now() - idle)
    return going_on


def shown_sessions(request: HttpRequest) -> list[ShownSession]:
    """The sessions of who asks, this one first."""
    shown = [
        ShownSession(
            number=row.number,
            browser=browser_name(row.agent),
            address=row.address or "unknown",
            began_at=row.began_at,
            seen_at=row.seen_at,
            is_this=row.pk == request.session.session_key,
        )
        for row in sessions_of(request.user)
    ]
    return sorted(shown, key=lambda session: not session.is_this)


def browser_name(agent: str) -> str:
    """A browser as people call it: "Firefox on Linux"."""
    found = parse(agent)
    names = [part.family for part in (found.user_agent, found.os) if part]
    return " on ".join(names) or "An unknown program"


def end_sessions(sessions: QuerySet[BrowserSession], *, by: Any, request: HttpRequest) -> int:
    """Log these sessions out; returns how many there were."""
    keys = list(sessions.values_list("pk", flat=True))
    for key in keys:
        request.session.__class__(key).delete()
    if keys:
        note(AuditAction.SESSION_ENDED, by=by, request=request, why="ended", sessions=len(keys))
    return len(keys)


def end_other_sessions(request: HttpRequest) -> int:
    """Log who asks out everywhere but here; returns of how many sessions."""
    user: Any = request.user
    others = BrowserSession.objects.filter(user=user).exclude(pk=request.session.session_key)
    return end_sessions(others, by=user, request=request)


def sweep_sessions() -> int:
    """Forget the sessions whose time is over; returns how many."""
    return (
        Session.objects.filter(expire_date__lt=timezone.now())
        .delete()[1]
        .get(Session._meta.label, 0)
    )
