"""Who may change which tracks."""

from typing import Any

from rest_framework.permissions import SAFE_METHODS, BasePermission

from apps.access.permissions import may_add, may_curate, may_search
from apps.catalog.models import Track


def may_edit(user: Any, track: Track) -> bool:
    """May this user edit or delete this track? Staff may, and whoever added it."""
    return may_curate(user) or (user.is_authenticated and track.added_by_id == user.pk)


class TrackPermission(BasePermission):
    """Reading needs the right to search, creating the right to add, changing the right to edit."""

    message = "You may not do this; log in with an account that may, or ask a curator."

    def has_permission(self, request: Any, view: Any) -> bool:
        if request.method in SAFE_METHODS:
            return may_search(request.user)
        if request.method == "POST":
            return may_add(request.user)
        return request.user.is_authenticated

    def has_object_permission(self, request: Any, view: Any, track: Track) -> bool:
        return request.method in SAFE_METHODS or may_edit(request.user, track)
