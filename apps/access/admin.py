"""Users, groups, tokens and the audit log in the admin console, for administrators only."""

from collections.abc import Collection
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, StreamingHttpResponse
from django.urls import path
from django.utils import timezone
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice

from apps.access.audit import csv_lines, note
from apps.access.models import ApiToken, AuditAction, AuditEvent, Scope
from apps.access.tokens import keep_token, new_secret, revoke_tokens

# What a second step rests on is nobody's to read: `manage.py two_step reset` takes it away.
admin.site.unregister([TOTPDevice, StaticDevice, User, Group])
ROLES = {"is_active": "active", "is_staff": "staff", "is_superuser": "superuser"}


@admin.register(User)
class AuditedUserAdmin(UserAdmin):
    """The audit log is told of roles and groups, as who may know of what follows from them."""

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        before = User.objects.filter(pk=obj.pk).first() or User(is_active=True)
        super().save_model(request, obj, form, change)
        now = {name: getattr(obj, field) for field, name in ROLES.items()}
        if now != {name: getattr(before, field) for field, name in ROLES.items()}:
            of = obj.get_username()
            note(AuditAction.ROLE, by=request.user, request=request, of=of, **now)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        user = form.instance
        before = _groups_of(user)
        super().save_related(request, form, formsets, change)
        now = _groups_of(user)
        if before != now:
            _note_groups(request, user, joined=now - before, left=before - now)


def _groups_of(user: User) -> set[str]:
    return set(user.groups.values_list("name", flat=True))


def _note_groups(
    request: HttpRequest, user: User, *, joined: Collection[str] = (), left: Collection[str] = ()
) -> None:
    moved = {"joined": sorted(joined), "left": sorted(left)}
    detail: dict[str, Any] = {"of": user.get_username(), **moved}
    note(AuditAction.GROUPS, by=request.user, request=request, **detail)


@admin.register(Group)
class AuditedGroupAdmin(GroupAdmin):
    """The audit log is told whom a deleted group had."""

    def delete_model(self, request: HttpRequest, obj: Group) -> None:
        self.delete_queryset(request, Group.objects.filter(pk=obj.pk))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Group]) -> None:
        members = {group.name: list(group.user_set.order_by("pk")) for group in queryset}
        super().delete_queryset(request, queryset)
        for name, left in members.items():
            for user in left:
                _note_groups(request, user, left=[name])


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
    search_fields = ["username", "address", "=speaker_number", "=request_id"]
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
