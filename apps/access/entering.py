"""Logging in, by a password and for some a code as well, and logging out."""

import time
from typing import Any

from axes.handlers.proxy import AxesProxyHandler
from django import forms
from django.contrib.auth import authenticate, get_user_model
from django.contrib.auth import login as log_in
from django.contrib.auth.views import LoginView, LogoutView
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.crypto import constant_time_compare
from django.utils.http import urlencode

from apps.access.audit import locked_lately, note
from apps.access.models import AuditAction
from apps.access.sessions import note_session
from apps.access.two_step import code_is_right, has_two_step, wait_for_code_s

WAITS_FOR_CODE = "waits_for_code"
CODE_WITHIN_S = 600


class LogIn(LoginView):
    """Name and password; whoever has two-step log-in is asked for a code next."""

    template_name = "login.html"

    def form_valid(self, form: Any) -> HttpResponse:
        user = form.get_user()
        if not has_two_step(user):
            return _enter(self.request, user, user.backend, self.get_success_url())
        self.request.session.cycle_key()
        self.request.session[WAITS_FOR_CODE] = {
            "user": user.pk,
            "backend": user.backend,
            "hash": user.get_session_auth_hash(),
            "since": time.time(),
        }
        asked = {"next": self.get_redirect_url()}
        return redirect(f"{reverse('login-code')}?{urlencode(asked)}")

    def form_invalid(self, form: Any) -> HttpResponse:
        if form.non_field_errors():
            note_failure(self.request, form.cleaned_data["username"])
        return super().form_invalid(form)


class CodeForm(forms.Form):
    """The second step."""

    code = forms.CharField(
        max_length=40,
        label="Code",
        widget=forms.TextInput(
            attrs={"autocomplete": "one-time-code", "autofocus": True, "spellcheck": "false"}
        ),
    )


class LogInCode(LoginView):
    """The second step: a code of the app, or a recovery code."""

    template_name = "login_code.html"
    form_class: Any = CodeForm
    redirect_authenticated_user = True

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        self.entering = _who_waits(request)
        if self.entering is None and not request.user.is_authenticated:
            return redirect("login")
        return super().dispatch(request, *args, **kwargs)

    def get_form_kwargs(self) -> dict[str, Any]:
        found = super().get_form_kwargs()
        found.pop("request")
        return found

    def form_valid(self, form: Any) -> HttpResponse:
        request: Any = self.request
        user, code = self.entering, form.cleaned_data["code"]
        credentials = {"username": user.get_username()}
        if not AxesProxyHandler.is_allowed(request, credentials):
            request.axes_locked_out = True
            request.axes_credentials = credentials
        elif wait_s := wait_for_code_s(user, code):
            form.add_error("code", f"Too many wrong codes; wait {wait_s} s, then try again.")
            return super().form_invalid(form)
        elif code_is_right(user, code):
            backend = request.session[WAITS_FOR_CODE]["backend"]
            return _enter(request, user, backend, self.get_success_url(), step="code")
        else:
            AxesProxyHandler.user_login_failed(LogInCode, credentials, request)
        note_failure(request, user.get_username(), step="code")
        form.add_error(
            "code", "This code is not right, or was used. Wait for the next one of your app."
        )
        return super().form_invalid(form)


class LogOut(LogoutView):
    """Leaves a line in the audit log."""

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if request.user.is_authenticated:
            note(AuditAction.LOG_OUT, by=request.user, request=request)
        return super().post(request, *args, **kwargs)


def password_is_right(request: HttpRequest, password: str) -> bool:
    """Does who is logged in know the password? Wrong ones count like failed log-ins."""
    name = request.user.get_username()
    if authenticate(request, username=name, password=password) is not None:
        return True
    note_failure(request, name, step="password again")
    return False


def note_failure(request: HttpRequest, name: str, **detail: Any) -> None:
    """A line for a failed log-in; while it is locked one in all, or lines could fill the disk."""
    if not getattr(request, "axes_locked_out", False):
        note(AuditAction.LOG_IN_FAILED, by=name, request=request, **detail)
    elif not locked_lately(name, request):
        note(AuditAction.LOG_IN_LOCKED, by=name, request=request, **detail)


def _enter(
    request: HttpRequest, user: Any, backend: str, address: str, **detail: Any
) -> HttpResponse:
    log_in(request, user, backend)
    request.session.pop(WAITS_FOR_CODE, None)
    request.session.save()
    note_session(request)
    note(AuditAction.LOG_IN, by=user, request=request, **detail)
    return HttpResponseRedirect(address)


def _who_waits(request: HttpRequest) -> Any:
    """Who gave the right password in this browser, less than ten minutes ago."""
    waiting = request.session.get(WAITS_FOR_CODE)
    if not waiting or time.time() - waiting["since"] > CODE_WITHIN_S:
        return None
    user = get_user_model().objects.filter(pk=waiting["user"], is_active=True).first()
    same = user and constant_time_compare(waiting["hash"], user.get_session_auth_hash())
    return user if same else None
