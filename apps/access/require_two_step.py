"""With REQUIRE_TOTP_FOR_STAFF, staff set up two-step log-in before they do anything else."""

from collections.abc import Callable

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.urls import reverse

from apps.access.two_step import must_set_up_two_step
from audiosearch.web.errors import error_body

OPEN = ("account-two-step", "account", "logout")
FIRST = "Staff need two-step log-in here. Set it up on this page; then all else is open to you."


def require_two_step(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware: sessions of staff without a second step lead to where it is set up.

    Tokens go on, as they are made by whoever went through it.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        asked = settings.REQUIRE_TOTP_FOR_STAFF and settings.SESSION_COOKIE_NAME in request.COOKIES
        if not asked or not must_set_up_two_step(request.user):
            return get_response(request)
        if request.path_info.startswith("/api/"):
            return JsonResponse(error_body("two_step_needed", FIRST), status=403)
        if request.path in map(reverse, OPEN):
            return get_response(request)
        messages.warning(request, FIRST)
        return redirect("account-two-step")

    return middleware
