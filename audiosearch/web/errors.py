"""One shape for every error of the API."""

import errno
import logging
import sys
from typing import Any

from django.core.exceptions import DisallowedHost, SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.middleware.csrf import REASON_MALFORMED_REFERER, REASON_NO_REFERER
from django.shortcuts import render
from django.template import loader
from django.views.decorators.csrf import csrf_exempt
from django.views.defaults import server_error as page_of_server_error
from rest_framework import status
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.response import Response
from rest_framework.views import exception_handler as drf_exception_handler

from audiosearch.engine.errors import (
    AudioError,
    Busy,
    Conflict,
    EngineError,
    NoSuchStream,
    OverQuota,
    TooLarge,
    UnsupportedAudio,
)
from audiosearch.web.uploading import TwoFiles

log = logging.getLogger(__name__)
RETRY_AFTER_S = 5
WORDS = {
    400: "bad_request",
    401: "not_authenticated",
    403: "permission_denied",
    408: "too_slow",
    409: "conflict",
    411: "length_required",
    413: "too_large",
    503: "unavailable",
}
TITLES: dict[int | str, str] = {
    400: "That did not work",
    401: "Log in first",
    403: "Not allowed",
    408: "Too slow",
    409: "No room",
    411: "How long is it?",
    413: "Too large",
    503: "Not now",
    OverQuota.code: "No room left",
}
BAD_REQUEST = "The request is malformed or too large."
UNKNOWN_HOST = (
    "The service does not know that it is reached as “{}”. Whoever keeps it adds that name to the "
    "setting ALLOWED_HOSTS; a proxy in front has to hand on the name that was asked for (Host)."
)
UNKNOWN_ORIGIN = (
    "The form came from {}, which is another site as far as the service knows; it was not taken. "
    "If people reach the service there, whoever keeps it names that in the setting "
    "CSRF_TRUSTED_ORIGINS; a proxy in front has to hand on the name that was asked for (Host), and "
    "with HTTPS=1 X-Forwarded-Proto."
)
NO_ORIGIN = "The browser does not say where the form came from; let it send that (Origin, Referer)."
EXPIRED = "The form has expired. Go back, load the page again and send the form once more."
CSRF_FAILED = "CSRF Failed: "
"""What REST framework puts before the reason of Django's check of forms."""


def error_body(code: str, message: str, details: Any = None) -> dict[str, Any]:
    """The body of every error."""
    return {"error": {"code": code, "message": message, "details": details or {}}}


def status_of(error: EngineError) -> int:
    """The HTTP status that says what an engine error means to the caller."""
    if isinstance(error, TooLarge | OverQuota):
        return status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    if isinstance(error, NoSuchStream):
        return status.HTTP_400_BAD_REQUEST
    if isinstance(error, UnsupportedAudio):
        return status.HTTP_415_UNSUPPORTED_MEDIA_TYPE
    if isinstance(error, Conflict):
        return status.HTTP_409_CONFLICT
    if isinstance(error, AudioError):
        return status.HTTP_409_CONFLICT if error.retryable else 422
    return status.HTTP_503_SERVICE_UNAVAILABLE


def exception_handler(exc: Exception, context: dict[str, Any]) -> Response | None:
    """Turn the errors of the engine and of REST framework into the one shape."""
    if isinstance(exc, EngineError):
        code = status_of(exc)
        headers = {"Retry-After": str(RETRY_AFTER_S)} if code == 503 else {}
        if code == 503 and not isinstance(exc, Busy):
            log.warning("%s: %s", exc.code, exc)
        return Response(error_body(exc.code, str(exc)), code, headers=headers)
    if isinstance(exc, SuspiciousOperation):
        return Response(error_body("bad_request", _words_of(exc)), status.HTTP_400_BAD_REQUEST)
    response = drf_exception_handler(exc, context)
    if response is None:
        return None
    if isinstance(exc, ValidationError):
        fields = exc.detail if isinstance(exc.detail, dict) else {"non_field_errors": exc.detail}
        response.data = error_body("invalid", _first_sentence(fields), fields)
    elif isinstance(exc, Http404):
        response.data = error_body("not_found", "There is no such thing here.")
    else:
        detail = exc.detail if isinstance(exc, APIException) else "You may not do this."
        word = getattr(detail, "code", None) or "permission_denied"
        words = str(detail)
        if words.startswith(CSRF_FAILED):
            words = _csrf_words(context["request"], words.removeprefix(CSRF_FAILED))
        response.data = error_body(str(word), words)
    return response


def _first_sentence(data: Any, field: str = "") -> str:
    if isinstance(data, dict):
        name, value = next(iter(data.items()))
        return _first_sentence(value, "" if name == "non_field_errors" else str(name))
    if isinstance(data, list):
        return _first_sentence(data[0], field) if data else "The request is not valid."
    return f"{field}: {data}" if field else str(data)


@csrf_exempt
def not_found(request: HttpRequest, exception: Exception | None = None) -> JsonResponse:
    """An address below /api/ that leads nowhere."""
    return JsonResponse(error_body("not_found", "There is nothing at this address."), status=404)


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """What Django refuses before a view is reached."""
    if isinstance(exception, DisallowedHost):
        return refusal(request, 400, UNKNOWN_HOST.format(request.META.get("HTTP_HOST", "")[:100]))
    return refusal(request, 400, _words_of(exception))


def _words_of(error: Exception | None) -> str:
    return str(error) if isinstance(error, TwoFiles) else BAD_REQUEST


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A form that Django takes for forged, or that only went another way than it knows of."""
    words = _csrf_words(request, reason)
    if wants_json(request):
        return refusal(request, 403, words)
    return render(request, "403_csrf.html", {"words": words}, status=403)


def _csrf_words(request: HttpRequest, reason: str) -> str:
    """What to do about a reason that Django's check of forms gives."""
    if reason in (REASON_NO_REFERER, REASON_MALFORMED_REFERER):
        return NO_ORIGIN
    if reason.startswith(("Origin checking failed", "Referer checking failed")):
        address = request.META.get("HTTP_ORIGIN") or request.META.get("HTTP_REFERER", "")
        return UNKNOWN_ORIGIN.format("/".join(address.split("/")[:3])[:100])
    return EXPIRED


def server_error(request: HttpRequest) -> HttpResponse:
    """A fault of ours, or of what we stand on: JSON below /api/, a page elsewhere."""
    if reason := _what_is_away(sys.exception()):
        return unavailable(request, reason)
    if not request.path_info.startswith("/api/"):
        return page_of_server_error(request)
    message = "Something broke on our side; the log says what."
    return JsonResponse(error_body("server_error", message), status=500)


def _what_is_away(error: BaseException | None) -> str:
    """The sentence for an error that ends by itself, or with a hand on a server; else empty.

    Here rather than in a middleware: sessions and users are read from the database everywhere.
    """
    if isinstance(error, OperationalError | InterfaceError):
        return "The database does not answer. Nothing is lost; try again in a moment."
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "The disk of the server is full, so nothing can be taken in; ask who keeps it."
    return ""


def unavailable(request: HttpRequest, reason: str) -> HttpResponse:
    """503 with the reason, and when to come back: JSON below /api/, a page elsewhere."""
    return refusal(request, 503, reason)


def refusal(request: HttpRequest, code: int, reason: str, *, word: str = "") -> HttpResponse:
    """One sentence: JSON for programs, a page elsewhere; it needs no database and no user.

    word: the code of the error, when it says more than the status.
    """
    response: HttpResponse
    if wants_json(request):
        response = JsonResponse(error_body(word or WORDS[code], reason), status=code)
    else:
        title = TITLES.get(word) or TITLES[code]
        told = {"title": title, "reason": reason, "home": f"{request.META['SCRIPT_NAME']}/"}
        page = loader.get_template("refusal.html").render(told)
        response = HttpResponse(page, status=code)
    if code == 503:
        response["Retry-After"] = str(RETRY_AFTER_S)
    return response


def wants_json(request: HttpRequest) -> bool:
    """Whether a program asks: below /api/, or a page's script."""
    json_wanted = "application/json" in request.META.get("HTTP_ACCEPT", "")
    return request.path_info.startswith("/api/") or json_wanted
