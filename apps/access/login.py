"""Logging in, slowly for whoever guesses."""

import hashlib
import logging
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse

from apps.access.throttles import address_of

log = logging.getLogger(__name__)
FAILURES = 10
WAIT_S = 300


class SlowLoginView(LoginView):
    """After ten failures for one name from one address, nothing is looked at for five minutes.

    Failures are counted in the cache; while that is away, nobody is kept out.
    """

    template_name = "login.html"

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        attempts = 0
        with _cache():
            cache.add(self._key(), 0, WAIT_S)
            attempts = cache.incr(self._key())
        if attempts <= FAILURES:
            return super().post(request, *args, **kwargs)
        form = self.get_form_class()(request)
        context = self.get_context_data(form=form, wait_minutes=WAIT_S // 60)
        response = self.render_to_response(context, status=429)
        response.headers["Retry-After"] = str(WAIT_S)
        return response

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        with _cache():
            cache.delete(self._key())
        return super().form_valid(form)

    def _key(self) -> str:
        """The name as the form reads it, so that a blank more is no other name."""
        name = unicodedata.normalize("NFKC", self.request.POST.get("username", "")).strip()
        digest = hashlib.sha256(name.casefold().encode()).hexdigest()
        return f"login:{address_of(self.request)}:{digest}"


@contextmanager
def _cache() -> Iterator[None]:
    """The cache may be away, or forget what it has just been told."""
    try:
        yield
    except (redis.RedisError, ValueError) as error:
        log.warning("failed log-ins are not counted: %s", error)
