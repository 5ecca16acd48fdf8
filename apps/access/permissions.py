"""Who may do what; one place for pages, admin and API."""

from typing import Any

from django.conf import settings
from rest_framework.permissions import SAFE_METHODS, BasePermission


def _allowed(user: Any, who: str) -> bool:
    if who == "anyone":
        return True
    if not (user.is_authenticated and user.is_active):
        return False
    return who == "members" or user.is_staff


def may_search(user: Any) -> bool:
    """May this user search, listen and browse? (WHO_MAY_SEARCH)"""
    return _allowed(user, settings.WHO_MAY_SEARCH)


def may_add(user: Any) -> bool:
    """May this user add recordings? (WHO_MAY_ADD)"""
    return _allowed(user, settings.WHO_MAY_ADD)


def may_curate(user: Any) -> bool:
    """May this user edit and delete any track, and keep the collections? Staff only."""
    return _allowed(user, "staff")


def may_edit(user: Any, track: Any) -> bool:
    """May this user edit or delete this track? Staff may, and whoever added it."""
    return may_curate(user) or (user.is_authenticated and track.added_by_id == user.pk)


class MaySearch(BasePermission):
    message = "You may not search here; log in or send a token."

    def has_permission(self, request: Any, view: Any) -> bool:
        return may_search(request.user)


class TrackPermission(BasePermission):
    """Reading needs the right to search, creating the right to add, changing the right to edit."""

    message = "You may not do this; log in with an account that may, or ask a curator."

    def has_permission(self, request: Any, view: Any) -> bool:
        if request.method in SAFE_METHODS:
            return may_search(request.user)
        if request.method == "POST":
            return may_add(request.user)
        return request.user.is_authenticated

    def has_object_permission(self, request: Any, view: Any, track: Any) -> bool:
        return request.method in SAFE_METHODS or may_edit(request.user, track)


class CuratorOrReadOnly(BasePermission):
    message = "Only staff may change this."

    def has_permission(self, request: Any, view: Any) -> bool:
        if request.method in SAFE_METHODS:
            return may_search(request.user)
        return may_curate(request.user)
