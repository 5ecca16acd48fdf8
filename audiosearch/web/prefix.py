"""The sub-path that a service is reached under, such as /sounds: SCRIPT_NAME of its requests."""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from audiosearch.environment import SUB_PATH

FORWARDED = "HTTP_X_FORWARDED_PREFIX"


def mount(environ: dict[str, Any]) -> None:
    """Split the path into SCRIPT_NAME and PATH_INFO, which all else goes by.

    Under URL_PREFIX (or a prefix of the server's own) a proxy may hand the path on whole or
    without it. A prefix that a proxy tells of is never taken off: whoever could choose one would
    get past what the proxy closes by path.
    """
    prefix = settings.URL_PREFIX or environ["SCRIPT_NAME"]
    if f"{environ['PATH_INFO']}/".startswith(f"{prefix}/"):
        environ["PATH_INFO"] = environ["PATH_INFO"].removeprefix(prefix) or "/"
    environ["SCRIPT_NAME"] = prefix or _forwarded(environ)


def _forwarded(environ: dict[str, Any]) -> str:
    """What the nearest proxy says that it took off; nothing where PROXIES names none."""
    if not settings.REST_FRAMEWORK["NUM_PROXIES"]:
        return ""
    told = environ.get(FORWARDED, "").rpartition(",")[2].strip().rstrip("/")
    return told if SUB_PATH.fullmatch(told) else ""


def keep_cookies_below(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware: cookies go to this service alone, not to what else is on its host."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if prefix := request.META["SCRIPT_NAME"]:
            for cookie in response.cookies.values():
                cookie["path"] = prefix
        return response

    return middleware
