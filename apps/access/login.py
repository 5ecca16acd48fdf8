"""What django-axes asks for: whose failed log-ins are counted together, and what it answers.

It keeps the failures in the database, where all processes read them and nothing pushes them out;
each failure also forgets those that are older than AXES_COOLOFF_TIME.
"""

import ipaddress
import unicodedata
from typing import Any

from axes.helpers import get_cool_off
from django.contrib.auth.forms import AuthenticationForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from apps.access.visitors import address_of

LONGEST = 255
"""What the column of names holds."""


def name_tried(request: HttpRequest, credentials: dict[str, Any] | None) -> str:
    """The name as the form reads it, in one case, so that a blank more is no other name."""
    name = str((credentials or request.POST).get("username") or "")
    return unicodedata.normalize("NFKC", name).strip().casefold()[:LONGEST]


def ip_address(request: HttpRequest) -> str | None:
    """Where a log-in comes from, as PROXIES has it; None for what is no address."""
    try:
        return str(ipaddress.ip_address(address_of(request).partition("%")[0]))
    except ValueError:
        return None


def who_tried(name: str, address: str | None, agent: str, path: str, request: HttpRequest) -> str:
    """How the log tells of it; the name comes last and quoted, so that it passes for nothing."""
    return f"{address} as {name!r}"


def locked_out(
    request: HttpRequest, response: HttpResponse, credentials: dict[str, Any] | None
) -> HttpResponse:
    """The log-in page with 429, which says how long to wait."""
    wait_s = int(get_cool_off(request).total_seconds())
    context = {
        "form": AuthenticationForm(request),
        "next": request.POST.get("next", ""),
        "wait_minutes": wait_s // 60,
    }
    answer = render(request, "login.html", context, status=429)
    answer.headers["Retry-After"] = str(wait_s)
    return answer
