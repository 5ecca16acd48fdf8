"""Recent searches: kept up to a number for each user, the oldest forgotten with their clips."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.conf import settings as django_settings
from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from apps.analysis.answers import VERDICTS
from apps.catalog.id_map import cards_of
from apps.catalog.playback import forget_copies
from apps.catalog.selectors import visible_tracks
from apps.search.answerers import DEFAULT
from apps.search.asking import Answered
from apps.search.models import Search
from apps.search.results import track_json

WAITING = {"verdict": "waiting"}
"""Kept in place of an answer that is to be asked for, """
ASKING = {"verdict": "asking"}
"""and of one that somebody has asked for."""
ANSWERED = set(VERDICTS)


def keep_search(
    *,
    user: Any,
    clip: str,
    clip_name: str,
    settings: dict[str, Any],
    answered: Answered,
    later: Iterable[str] = (),
) -> Search:
    """Keep a search by a clip (its name in the storage), and forget the user's oldest.

    later: names of answers that are still to be asked for.
    """
    owner = user if user.is_authenticated else None
    kept = Search.objects.create(
        user=owner,
        clip=clip,
        clip_name=clip_name[:255],
        settings=settings,
        result=_by_number(answered) if DEFAULT in answered.answers else {},
        answers={**answered.as_json(), **dict.fromkeys(later, WAITING)},
    )
    for old in Search.objects.filter(user=owner)[django_settings.RECENT_SEARCHES_KEPT :]:
        delete_search(old)
    return kept


def _by_number(answered: Answered) -> dict[str, Any]:
    found = answered.result.as_json()
    for hit in found["hits"]:  # titles change and are erased; a page shows those of that moment
        hit["track"] = {"id": hit["track"]["id"]}
    return found


def claim_answer(search: Search, name: str) -> bool:
    """Mark an answer as asked for; whether it was waiting, and nobody has asked for it before."""
    with transaction.atomic():
        row = Search.objects.select_for_update().get(pk=search.pk)
        if row.answers[name] != WAITING:
            return False
        row.answers[name] = ASKING
        row.save(update_fields=["answers"])
    return True


def keep_answer(search: Search, answered: Answered) -> Search:
    """Keep what was asked for later beside the other answers, which may come at the same time."""
    with transaction.atomic():
        row = Search.objects.select_for_update().get(pk=search.pk)
        row.answers |= answered.as_json()
        if DEFAULT in answered.answers:
            row.result = _by_number(answered)
        row.save(update_fields=["answers", "result"])
    return row


def recent_searches(user: Any) -> QuerySet[Search]:
    """The user's searches, newest first; nobody's for anonymous visitors."""
    if not user.is_authenticated:
        return Search.objects.none()
    return Search.objects.filter(user=user)


def shown_result(search: Search, viewer: Any) -> dict[str, Any]:
    """A kept result as its viewer, who may be another than who searched, sees its tracks now."""
    result = {"hits": [], "explanation": None, **search.result}
    found = [hit["track"]["id"] for hit in result["hits"]]
    seen = visible_tracks(viewer).filter(pk__in=found).values_list("pk", flat=True)
    cards = cards_of(seen)
    result["hits"] = [
        {**hit, "track": track_json(cards[hit["track"]["id"]])}
        for hit in result["hits"]
        if hit["track"]["id"] in cards
    ]
    if search.user_id != viewer.pk:
        result["explanation"] = None
    return result


def sweep_clips() -> int:
    """Delete clips that no search knows (their user was deleted, or a write was cut off).

    Younger ones than an hour may be about to be known. Returns how many went.
    """
    known = set(Search.objects.values_list("clip", flat=True))
    try:
        names = [f"queries/{name}" for name in default_storage.listdir("queries")[1]]
    except FileNotFoundError:
        return 0
    young = timezone.now() - timedelta(hours=1)
    swept = [
        name
        for name in names
        if name not in known and default_storage.get_modified_time(name) < young
    ]
    for name in swept:
        default_storage.delete(name)
        forget_copies(name)
    return len(swept)


def delete_search(search: Search) -> None:
    """Forget a search; its clip goes with the last search that used it."""
    clip = search.clip.name
    search.delete()
    if clip and not Search.objects.filter(clip=clip).exists():
        default_storage.delete(clip)
        forget_copies(clip)
