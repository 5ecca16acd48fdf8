"""Tokens and the audit log in the admin console, for administrators only."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, StreamingHttpResponse
from django.urls import path
from django.utils import timezone
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice

from apps.access.audit import csv_lines
from apps.access.models import ApiToken, AuditEvent, Scope
from apps.access.tokens import keep_token, new_secret, revoke_tokens

# What a second step rests on is nobody's to read: `manage.py two_step reset` takes it away.
admin.site.unregister([TOTPDevice, StaticDevice])


class TokenForm(forms.ModelForm):
    scopes = forms.MultipleChoiceField(
        choices=Scope.choices, widget=forms.CheckboxSelectMultiple, initial=[Scope.READ]
    )

    class Meta:
        model = ApiToken
        fields = ["user", "name", "scopes", "expires_on"]


@admin.register(ApiToken)
class ApiTokenAdmin(admin.ModelAdmin):
    form = TokenForm
    list_display = [
        *("prefix", "user", "name", "scopes", "created_at", "expires_on", "last_used_at"),
        "revoked_at",
    ]
    list_filter = ["user"]
    search_fields = ["prefix", "name", "user__username"]
    actions = ["revoke"]

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        secret = new_secret()
        made = keep_token(
            user=obj.user,
            name=obj.name,
            scopes=form.cleaned_data["scopes"],
            secret=secret,
            expires_on=obj.expires_on,
            by=request.user,
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
        messages.success(request, f"{revoke_tokens(queryset, by=request.user)} revoked.")


@admin.register(AuditEvent)
class AuditEventAdmin(admin.ModelAdmin):
    """Read and exported here, and changed by nobody."""

    change_list_template = "admin/access/audit.html"
    list_display = ["at", "action", "username", "address", "speaker_number", "detail"]
    list_filter = ["action", "at"]
    search_fields = ["username", "address", "speaker_number", "request_id"]
    show_full_result_count = False

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.export)
        return [path("export/", view, name="access_auditevent_export"), *super().get_urls()]

    def export(self, request: HttpRequest) -> StreamingHttpResponse:
        """What the list shows, with its filters, as CSV."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        events = self.get_changelist_instance(request).get_queryset(request)
        name = f"audit-{timezone.localdate():%Y-%m-%d}.csv"
        return StreamingHttpResponse(
            csv_lines(events),
            content_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_superuser)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
