"""The pages of one's own account."""

from typing import Any

from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.db.models import F
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST, require_safe

from apps.access import two_step as steps
from apps.access.audit import note
from apps.access.forms import NewPasswordForm, NewTokenForm, PasswordAgainForm
from apps.access.models import ApiToken, AuditAction
from apps.access.pages import allowed, require_page
from apps.access.permissions import has_account
from apps.access.sessions import (
    end_other_sessions,
    end_sessions,
    note_session,
    sessions_of,
    shown_sessions,
)
from apps.access.tokens import issue_token, revoke_tokens, tokens_that_work


@require_safe
@allowed(has_account)
def account(request: HttpRequest) -> HttpResponse:
    """Password, two-step log-in, tokens and sessions of who asks."""
    return _account_page(request, NewTokenForm())


def _account_page(request: HttpRequest, form: NewTokenForm, status: int = 200) -> HttpResponse:
    user: Any = request.user
    tokens = ApiToken.objects.filter(user=user, revoked_at=None)
    working = set(tokens_that_work().filter(user=user).values_list("pk", flat=True))
    context = {
        "tokens": [
            {"token": token, "works": token.pk in working}
            for token in tokens.order_by(F("last_used_at").desc(nulls_last=True), "-pk")
        ],
        "token_form": form,
        "sessions": shown_sessions(request),
        "two_step": steps.has_two_step(user),
        "codes_left": steps.recovery_codes_left(user),
    }
    return render(request, "account/account.html", context, status=status)


@sensitive_post_parameters()
@require_page
@allowed(has_account)
def change_password(request: HttpRequest) -> HttpResponse:
    """A new password; all other sessions end."""
    form = NewPasswordForm(request, request.POST or None)
    if request.method == "POST" and form.is_valid():
        user = form.save()
        update_session_auth_hash(request, user)
        note_session(request)
        note(AuditAction.PASSWORD, by=user, request=request)
        end_other_sessions(request)
        messages.success(request, "Your password is changed, and you are logged out elsewhere.")
        return redirect("account")
    return _page(request, "account/password.html", form)


@require_POST
@allowed(has_account)
def add_token(request: HttpRequest) -> HttpResponse:
    """A new token, shown in the answer and never again."""
    form = NewTokenForm(request.POST)
    if not form.is_valid():
        return _account_page(request, form, status=400)
    secret = issue_token(user=request.user, by=request.user, **form.cleaned_data)
    return render(request, "account/new_token.html", {"secret": secret, **form.cleaned_data})


@require_page
@allowed(has_account)
def revoke_token(request: HttpRequest, pk: int) -> HttpResponse:
    """Asks first; then the token is refused."""
    token = get_object_or_404(ApiToken, pk=pk, user=request.user, revoked_at=None)
    if request.method != "POST":
        return render(request, "account/revoke_token.html", {"token": token})
    revoke_tokens(ApiToken.objects.filter(pk=token.pk), by=request.user)
    messages.success(request, f"The token “{token.name}” is revoked.")
    return redirect("account")


@require_POST
@allowed(has_account)
def end_session(request: HttpRequest, number: str) -> HttpResponse:
    """Log one of one's own sessions out."""
    found = sessions_of(request.user).filter(number=number)
    if end_sessions(found, by=request.user, request=request):
        messages.success(request, "That browser is logged out.")
    else:
        messages.info(request, "That browser was logged out already.")
    return redirect("account")


@require_POST
@allowed(has_account)
def end_others(request: HttpRequest) -> HttpResponse:
    """Log out everywhere but here."""
    count = end_other_sessions(request)
    messages.success(request, f"You are logged out everywhere else ({count} in all).")
    return redirect("account")


@never_cache
@require_page
@allowed(has_account)
def set_up_two_step(request: HttpRequest) -> HttpResponse:
    """Begin, scan the code, and confirm by what the app shows; then the recovery codes."""
    user = request.user
    wrong = ""
    if request.method == "POST" and "code" in request.POST:
        found = steps.confirm_two_step(user=user, code=request.POST["code"], request=request)
        if found:
            end_other_sessions(request)
            return render(request, "account/recovery_codes.html", {"codes": found})
        wrong = "This code is not right. Wait for the next one of your app, and type that."
    elif request.method == "POST":
        steps.begin_two_step(user)
        return redirect("account-two-step")
    device = steps.begun_two_step(user)
    context = {
        "qr_code": steps.qr_code(device) if device else None,
        "secret": steps.typed_secret(device) if device else "",
        "wrong": wrong,
    }
    return render(request, "account/two_step.html", context, status=400 if wrong else 200)


@sensitive_post_parameters()
@require_page
@allowed(has_account)
def new_codes(request: HttpRequest) -> HttpResponse:
    """Ten new recovery codes, for the password."""
    if not steps.has_two_step(request.user):
        return redirect("account-two-step")
    form = PasswordAgainForm(request, request.POST or None)
    if request.method == "POST" and form.is_valid():
        codes = steps.make_recovery_codes(user=request.user, request=request)
        return render(request, "account/recovery_codes.html", {"codes": codes})
    return _page(request, "account/new_codes.html", form)


@sensitive_post_parameters()
@require_page
@allowed(has_account)
def turn_off_two_step(request: HttpRequest) -> HttpResponse:
    """The password alone is enough again; it is asked for here."""
    form = PasswordAgainForm(request, request.POST or None)
    if request.method == "POST" and form.is_valid():
        steps.turn_off_two_step(user=request.user, by=request.user, request=request)
        messages.success(request, "Two-step log-in is off; your password is enough again.")
        return redirect("account")
    return _page(request, "account/turn_off_two_step.html", form)


def _page(request: HttpRequest, template: str, form: Any) -> HttpResponse:
    return render(request, template, {"form": form}, status=400 if form.is_bound else 200)
