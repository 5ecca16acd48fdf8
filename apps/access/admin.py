"""Tokens in the admin console: made, shown once, revoked. For administrators only."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from apps.access.models import ApiToken, Scope
from apps.access.tokens import keep_token, new_secret, revoke_tokens


class TokenForm(forms.ModelForm):
    scopes = forms.MultipleChoiceField(
        choices=Scope.choices, widget=forms.CheckboxSelectMultiple, initial=[Scope.READ]
    )

    class Meta:
        model = ApiToken
        fields = ["user", "name", "scopes"]


@admin.register(ApiToken)
class ApiTokenAdmin(admin.ModelAdmin):
    form = TokenForm
    list_display = ["prefix", "user", "name", "scopes", "created_at", "last_used_at", "revoked_at"]
    list_filter = ["user"]
    search_fields = ["prefix", "name", "user__username"]
    actions = ["revoke"]

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        secret = new_secret()
        made = keep_token(
            user=obj.user, name=obj.name, scopes=form.cleaned_data["scopes"], secret=secret
        )
        obj.pk, obj.prefix = made.pk, made.prefix
        messages.warning(request, f"The token is {secret} — copy it now, it is not kept.")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_superuser)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_superuser)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.action(description="Revoke", permissions=["delete"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiToken]) -> None:
        messages.success(request, f"{revoke_tokens(queryset)} revoked.")
