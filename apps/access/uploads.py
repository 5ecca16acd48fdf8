"""Who may send files, and where: settled before anything of a request's body is looked at.

Django's check against forged forms looks into the body before any view is asked, which would keep
the files of strangers on the disk.
"""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.contrib.auth.views import redirect_to_login
from django.core.files.uploadhandler import FileUploadHandler, SkipFile
from django.http import HttpRequest, HttpResponse, UnreadablePostError

from apps.access.authentication import sent_token
from apps.access.tokens import find_token
from audiosearch.engine.errors import EngineError
from audiosearch.web.errors import refusal, status_of, wants_json

MAY = "may_send_files"
CHECKS = "checks_of_files"
TOO_LARGE = (
    "The request has {sent:.1f} MB, and the limit is {limit} MB. Send a shorter recording, or "
    "fewer files at once."
)
NO_FILES_HERE = "The request has {sent} KB, and this address takes up to {limit} KB."
TOO_SLOW = "The upload stopped before all of it was here; send it again."


def takes_files(may: Callable[[Any], bool], *checks: Callable[[Any, int], None]) -> Any:
    """Decorator for what takes files: a page's view, or a method of an API's view.

    Only users who `may` send them; the checks get the user and the length of the body, and raise
    an EngineError before any of it is read.
    """

    def decorate(view: Any) -> Any:
        setattr(view, MAY, may)
        setattr(view, CHECKS, checks)
        return view

    return decorate


class DropFiles(FileUploadHandler):
    """Reads past the files of a form and keeps nothing of them."""

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        raise SkipFile

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        raise SkipFile

    def file_complete(self, file_size: int) -> None:
        return None


class GuardUploads:
    """Middleware: large bodies where files are taken, from whom they are taken; before CSRF."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Any, args: Any, kwargs: Any
    ) -> HttpResponse | None:
        length = _length(request)
        if not length:
            return None
        taker = _taker(view, request.method or "")
        may = getattr(taker, MAY, None)
        user = _sender(request) if may else None
        if may and may(user):
            return _unless_too_much(request, length, user, getattr(taker, CHECKS))
        request.upload_handlers = [DropFiles(request)]
        if length <= settings.MAX_FORM_BYTES:
            return None  # the view says what is wrong, and to whom
        if not may:
            limit = settings.MAX_FORM_BYTES >> 10
            reason = NO_FILES_HERE.format(sent=-(-length >> 10), limit=limit)
            return refusal(request, 413, reason)
        return _turn_away(request, user)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """An upload that stopped is no fault of ours, and nobody reads the answer, mostly."""
        return refusal(request, 408, TOO_SLOW) if isinstance(error, UnreadablePostError) else None


def _length(request: HttpRequest) -> int:
    told = request.META.get("CONTENT_LENGTH") or "0"
    return int(told) if told.isdecimal() else 0


def _taker(view: Any, method: str) -> Any:
    """What will answer: the view itself, or the method of an API's view."""
    if not hasattr(view, "cls"):
        return view if method == "POST" else None
    name = (getattr(view, "actions", None) or {}).get(method.lower(), method.lower())
    return getattr(view.cls, name, None)


def _sender(request: HttpRequest) -> Any:
    """Whose token or session came with it; as the API reads them."""
    secret = sent_token(request)
    if secret is None:
        return request.user
    token = find_token(secret)
    return token.user if token else AnonymousUser()


def _unless_too_much(
    request: HttpRequest, length: int, user: Any, checks: tuple[Callable[[Any, int], None], ...]
) -> HttpResponse | None:
    """A refusal of what is too long, or of what a check refuses."""
    limit = settings.MAX_FILE_BYTES
    if length > limit + settings.MAX_FORM_BYTES:
        reason = TOO_LARGE.format(sent=length / 2**20, limit=limit >> 20)
        return refusal(request, 413, reason)
    try:
        for check in checks:
            check(user, length)
    except EngineError as error:
        return refusal(request, status_of(error), str(error), word=error.code)
    return None


def _turn_away(request: HttpRequest, user: Any) -> HttpResponse:
    if user.is_authenticated:
        return refusal(request, 403, "Your account may not send files here; ask a curator.")
    if wants_json(request):
        answer = refusal(request, 401, "Log in, or send a token, before you send a file.")
        answer["WWW-Authenticate"] = "Token"
        return answer
    return redirect_to_login(request.get_full_path())
