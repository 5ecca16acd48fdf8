"""How often one may search, counted where all processes read it: in Redis, else the database."""

import logging
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import redis
from django.conf import settings
from django.core.cache import caches
from django.core.cache.backends.db import DatabaseCache
from django.db import DatabaseError, connection, transaction
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import render
from rest_framework.permissions import SAFE_METHODS
from rest_framework.throttling import SimpleRateThrottle

from apps.access.visitors import visitor_of

log = logging.getLogger(__name__)
View = Callable[..., HttpResponseBase]
STRETCH = ("start_ms", "end_ms")


class SearchThrottle(SimpleRateThrottle):
    """SEARCHES_PER_MINUTE for each user, or for the address of an anonymous visitor.

    Counted is what takes the model's time; what is read back is free: pages, kept results, and
    what is like a whole track. What a view calls light, as no model is asked, is counted by
    itself, to the same number. While what counts is away, nobody is turned away.
    """

    scope = "search"
    num_requests: int
    duration: int
    now: float
    history: list[float]

    def __init__(self) -> None:
        super().__init__()
        self.cache = caches["limits"]

    def get_rate(self) -> str | None:
        limit = settings.SEARCHES_PER_MINUTE
        return f"{limit}/minute" if limit else None

    def get_cache_key(self, request: Any, view: Any) -> str | None:
        if request.method in SAFE_METHODS and not any(map(request.GET.get, STRETCH)):
            return None
        is_light = getattr(view, "is_light", None)
        kind = "light" if is_light and is_light(request) else "searches"
        return f"{kind}:{visitor_of(request)}"

    def allow_request(self, request: Any, view: Any) -> bool:
        if self.rate is None or self.get_cache_key(request, view) is None:
            return True  # without waiting for whoever writes to the database
        try:
            with _counting(self.cache):
                return super().allow_request(request, view)
        except (redis.RedisError, DatabaseError) as error:
            log.warning("searches are not counted: %s", error)
            return True

    def wait(self) -> float:
        """Seconds until so many of those counted are a minute old that one more fits in."""
        return self.duration - (self.now - self.history[self.num_requests - 1])


@contextmanager
def _counting(cache: Any) -> Iterator[None]:
    """On SQLite no other search reads a count before this one has written it.

    Nor does a count wait for the disk (some 10 ms), as other commits do: a power cut may take it.
    """
    if not (isinstance(cache, DatabaseCache) and connection.vendor == "sqlite"):
        yield
        return
    with connection.cursor() as cursor:
        waits = cursor.execute("PRAGMA synchronous").fetchone()[0]
        cursor.execute("PRAGMA synchronous=NORMAL")
        try:
            with transaction.atomic():
                yield
        finally:
            cursor.execute(f"PRAGMA synchronous={waits}")


def wait_before_search(request: HttpRequest) -> int:
    """Seconds until this visitor may search again; 0 counts the search that now follows."""
    throttle = SearchThrottle()
    return 0 if throttle.allow_request(request, None) else max(1, math.ceil(throttle.wait()))


def throttled(view: View) -> View:
    """Answer 429, with a page or a fragment that says so, to whoever searches too often."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        wait_s = wait_before_search(request)
        if not wait_s:
            return view(request, *args, **kwargs)
        part = request.headers.get("HX-Request") == "true"
        template = "_too_often.html" if part else "429.html"
        response = render(request, template, {"wait_s": wait_s}, status=429)
        response.headers["Retry-After"] = str(wait_s)
        return response

    return guarded
