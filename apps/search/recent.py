"""Recent searches: kept up to a number for each user, the oldest forgotten with their clips."""

from typing import Any

from django.conf import settings as django_settings
from django.core.files.storage import default_storage
from django.db.models import QuerySet

from apps.search.models import Search
from apps.search.results import SearchResult


def keep_search(
    *, user: Any, clip: str, clip_name: str, settings: dict[str, Any], result: SearchResult
) -> Search:
    """Keep a search by a clip (its name in the storage), and forget the user's oldest."""
    owner = user if user.is_authenticated else None
    kept = Search.objects.create(
        user=owner,
        clip=clip,
        clip_name=clip_name[:255],
        settings=settings,
        result=result.as_json(),
    )
    for old in Search.objects.filter(user=owner)[django_settings.RECENT_SEARCHES_KEPT :]:
        delete_search(old)
    return kept


def recent_searches(user: Any) -> QuerySet[Search]:
    """The user's searches, newest first; nobody's for anonymous visitors."""
    if not user.is_authenticated:
        return Search.objects.none()
    return Search.objects.filter(user=user)


def delete_search(search: Search) -> None:
    """Forget a search; its clip goes with the last search that used it."""
    clip = search.clip.name
    search.delete()
    if clip and not Search.objects.filter(clip=clip).exists():
        default_storage.delete(clip)
