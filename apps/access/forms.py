"""The forms of the account's pages."""

from datetime import date
from typing import Any

from django import forms
from django.contrib.auth.forms import PasswordChangeForm
from django.http import HttpRequest
from django.utils import timezone

from apps.access.entering import password_is_right
from apps.access.models import Scope

WRONG = "This is not your password; try again."


class NewPasswordForm(PasswordChangeForm):
    """The password there is, and the new one twice."""

    def __init__(self, request: HttpRequest, data: Any = None) -> None:
        user: Any = request.user
        super().__init__(user, data)
        self.request = request

    def clean_old_password(self) -> str:
        """Looked at as when logging in, so that guesses are counted here, too."""
        old = str(self.cleaned_data["old_password"])
        if not password_is_right(self.request, old):
            raise forms.ValidationError(WRONG)
        return old


class PasswordAgainForm(forms.Form):
    """Before two-step log-in is turned off or its codes are shown anew."""

    password = forms.CharField(
        strip=False,
        label="Your password",
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )

    def __init__(self, request: HttpRequest, data: Any = None) -> None:
        super().__init__(data)
        self.request = request

    def clean_password(self) -> str:
        given = str(self.cleaned_data["password"])
        if not password_is_right(self.request, given):
            raise forms.ValidationError(WRONG)
        return given


class NewTokenForm(forms.Form):
    """What a token is for, what it may do, and for how long."""

    name = forms.CharField(max_length=100, help_text="What it is for, such as “upload script”")
    scopes = forms.MultipleChoiceField(
        choices=Scope.choices,
        widget=forms.CheckboxSelectMultiple,
        initial=[Scope.READ],
        label="It may",
        error_messages={"required": "Tick at least one."},
    )
    expires_on = forms.DateField(
        required=False,
        label="Last day",
        help_text="The day after, it stops working. Empty: it works until you revoke it",
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
    )

    def clean_expires_on(self) -> date | None:
        day: date | None = self.cleaned_data["expires_on"]
        if day and day < timezone.localdate():
            raise forms.ValidationError("This day is over; choose today or a later one.")
        return day
