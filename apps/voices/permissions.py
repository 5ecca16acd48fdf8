"""Who may do what with voices: nobody without an account, whatever the catalogue allows."""

from typing import Any

from rest_framework.permissions import SAFE_METHODS, BasePermission

from apps.access.permissions import may_curate, may_search


def may_recognise(user: Any) -> bool:
    """May this user verify and identify? The audit log must be able to say who asked."""
    return bool(user.is_authenticated and may_search(user))


GROUPS_ARE_FOR_CURATORS = "Groups of speakers are for curators; ask without one."
"""Told whatever the name: members read names of speakers alone, and could try who is in which."""


class MayRecognise(BasePermission):
    message = "Voices are for people with an account; log in or send a token."

    def has_permission(self, request: Any, view: Any) -> bool:
        return may_recognise(request.user)


class SpeakerPermission(MayRecognise):
    """Reading is for whoever may recognise, changing for staff."""

    def has_permission(self, request: Any, view: Any) -> bool:
        if request.method in SAFE_METHODS:
            return may_recognise(request.user)
        return may_curate(request.user)
