"""Why a search found nothing: which filter took what away."""

from dataclasses import replace
from typing import Any

from apps.analysis.index import get_index
from apps.analysis.models import TrackAnalysis
from apps.catalog.selectors import seen_by, visible_collections
from apps.jobs.models import PENDING
from apps.search.results import Explanation, SearchSettings
from audiosearch.engine.errors import SpaceMissing
from audiosearch.engine.indexes.filters import TrackFilter

_FIELDS = (
    "collection_ids",
    "tags",
    "kinds",
    "min_duration_ms",
    "max_duration_ms",
    "added_from",
    "added_to",
)


def explain(space: str, asked: SearchSettings, where: TrackFilter, by: Any) -> Explanation:
    """Count what `by` may search, then what each filter leaves, one after the other."""
    steps: list[dict[str, Any]] = []
    unfiltered = TrackFilter(
        exclude_item_ids=where.exclude_item_ids,
        exclude_collection_ids=where.exclude_collection_ids,
        exclude_kinds=where.exclude_kinds,
    )
    narrowed = unfiltered
    searchable = left = _count(space, narrowed)
    for field in _FIELDS:
        value = getattr(where, field)
        if value in (None, ()):
            continue
        narrowed = replace(narrowed, **{field: value})
        before, left = left, _count(space, narrowed)
        alone = _count(space, replace(unfiltered, **{field: value}))
        steps.append(
            {
                "filter": _words(field, value, asked, by),
                "leaves": left,
                "takes": before - left,
                "alone": alone,
            }
        )
    return Explanation(searchable, steps, _message(space, searchable, steps, asked, by))


def _count(space: str, where: TrackFilter) -> int:
    try:
        return get_index().count_items(space, where)
    except SpaceMissing:
        return 0


def _words(field: str, value: Any, asked: SearchSettings, by: Any) -> str:
    if field == "collection_ids":
        names = visible_collections(by).filter(pk__in=value).values_list("name", flat=True)
        return "collection: " + (", ".join(names) or "one that does not exist")
    if field == "tags":
        return "tags: " + ", ".join(value)
    if field == "kinds":
        return "kind: " + ", ".join(asked.kinds)
    if field == "min_duration_ms":
        return f"at least {value / 1000:g} s long"
    if field == "max_duration_ms":
        return f"at most {value / 1000:g} s long"
    date = asked.added_from if field == "added_from" else asked.added_to
    word = "added from" if field == "added_from" else "added until"
    return f"{word} {date:%Y-%m-%d %H:%M}"


def _message(
    space: str, searchable: int, steps: list[dict[str, Any]], asked: SearchSettings, by: Any
) -> str:
    if searchable == 0:
        pending = TrackAnalysis.objects.filter(space__name=space, state__in=PENDING)
        if not asked.include_enrolments:
            pending = pending.filter(track__for_enrolment=False)
        waiting = pending.filter(seen_by(by, "track__")).count()
        if waiting:
            return f"Nothing can be searched yet: {waiting} recordings are still being listened to."
        return "There is nothing else in the catalogue to find yet. Add some recordings first."
    for step in steps:
        if step["leaves"] == 0:
            return (
                f"{searchable} recordings could be searched, but the filter “{step['filter']}” "
                f"took the last {step['takes']} away"
                + (f" (alone it would leave {step['alone']})." if step["alone"] else ".")
            )
    return "The recordings that matched have just been deleted; search again."
