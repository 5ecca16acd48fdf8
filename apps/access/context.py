"""What every page knows of its user."""

from typing import Any

from django.http import HttpRequest

from apps.access.permissions import may_add, may_curate, may_search


def rights(request: HttpRequest) -> dict[str, Any]:
    """What the user may do."""
    user = getattr(request, "user", None)
    if user is None:
        return {}
    return {
        "may_search": may_search(user),
        "may_add": may_add(user),
        "may_curate": may_curate(user),
    }
