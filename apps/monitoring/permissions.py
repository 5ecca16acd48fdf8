"""Who may have recordings scanned: whoever may search and has an account, as scans are private."""

from typing import Any

from rest_framework.permissions import BasePermission

from apps.access.permissions import has_account, may_search


def may_scan(user: Any) -> bool:
    """May this user have recordings scanned, and see what came of it?"""
    return has_account(user) and may_search(user)


class MayScan(BasePermission):
    message = "Scans need an account; log in or send a token."

    def has_permission(self, request: Any, view: Any) -> bool:
        return may_scan(request.user)
