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


def has_account(user: Any) -> bool:
    """Is this somebody who logged in?"""
    return _allowed(user, "members")


def may_search(user: Any) -> bool:
    """May this user search, listen and browse? (WHO_MAY_SEARCH)"""
    return _allowed(user, settings.WHO_MAY_SEARCH)


def may_add(user: Any) -> bool:
    """May this user add recordings? (WHO_MAY_ADD)"""
    return _allowed(user, settings.WHO_MAY_ADD)


def may_curate(user: Any) -> bool:
    """May this user edit and delete any track, and keep the collections? Staff only."""
    return _allowed(user, "staff")


class MaySearch(BasePermission):
    message = "You may not search here; log in or send a token."

    def has_permission(self, request: Any, view: Any) -> bool:
        return may_search(request.user)


class MayAdd(BasePermission):
    message = "You may not add recordings here; log in with an account that may."

    def has_permission(self, request: Any, view: Any) -> bool:
        return may_add(request.user)


class CuratorOrReadOnly(BasePermission):
    message = "Only staff may change this."

    def has_permission(self, request: Any, view: Any) -> bool:
        if request.method in SAFE_METHODS:
            return may_search(request.user)
        return may_curate(request.user)
