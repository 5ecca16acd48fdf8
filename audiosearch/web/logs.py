"""How lines are logged: as text or as JSON, each with the id of the request it belongs to."""

import json
import logging
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.functional import SimpleLazyObject

from audiosearch.web.request_ids import IN_META, current_request_id

requests = logging.getLogger("audiosearch.requests")
# Line ends of all kinds, what terminals obey, and what turns the direction of writing.
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


class RequestIdFilter(logging.Filter):
    """Puts the request's id on every record that does not bring one."""

    def filter(self, record: logging.LogRecord) -> bool:
        if not hasattr(record, "request_id"):
            # Django logs refusals once the middleware is left, and says of which request.
            meta = getattr(getattr(record, "request", None), "META", {})
            record.request_id = current_request_id() or meta.get(IN_META, "")
        return True


class TextFormatter(logging.Formatter):
    """One line for each message; a traceback is indented, lest a line in it pass for a message."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        line = super().formatMessage(record)
        request_id = getattr(record, "request_id", "")
        return _visible(f"{line} [{request_id}]" if request_id else line)

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's name
        return _indented(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:  # noqa: N802 - logging's name
        return _indented(super().formatStack(stack_info))


class JsonFormatter(logging.Formatter):
    """One JSON object for each message, in ASCII; `extra={"fields": …}` become keys of it."""

    def format(self, record: logging.LogRecord) -> str:
        told = {
            **getattr(record, "fields", {}),
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": getattr(record, "request_id", ""),
        }
        if record.exc_info:
            told["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            told["stack"] = record.stack_info
        return json.dumps(told, default=str)


def _visible(text: str) -> str:
    return CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def _indented(text: str) -> str:
    return "\n".join(f"  {_visible(line)}" for line in text.splitlines())


def log_requests(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware: one line for each request; neither queries, nor headers, nor bodies."""

    def middleware(request: HttpRequest) -> HttpResponse:
        began = time.perf_counter()
        response = get_response(request)
        if requests.isEnabledFor(logging.INFO):
            fields = {
                "method": request.method,
                "path": request.path,
                "status": response.status_code,
                "ms": round((time.perf_counter() - began) * 1000, 1),
                "user": _user_id(request),
            }
            line = "%(method)s %(path)s %(status)s in %(ms)s ms, user %(user)s"
            requests.info(line, fields, extra={"fields": fields})
        return response

    return middleware


def _user_id(request: HttpRequest) -> int | None:
    """Who asked, as far as answering had to find out; the database is not asked for the log."""
    user = request.__dict__.get("user")
    if isinstance(user, SimpleLazyObject):
        user = request.__dict__.get("_cached_user")
    return getattr(user, "pk", None)
