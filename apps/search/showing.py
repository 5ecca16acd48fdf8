"""Answers as somebody may see them: tracks and speakers as they are now, for those who may know."""

from collections.abc import Iterable, Mapping
from typing import Any

from apps.catalog.id_map import TrackCard, cards_of
from apps.catalog.selectors import hidden_collections, visible_tracks
from apps.search.answerers import answer_names, answerer_of
from apps.search.asking import NOT_FOR_YOU
from apps.search.results import track_json


def shown_answers(
    answers: Mapping[str, dict[str, Any]],
    viewer: Any,
    known: Mapping[int, TrackCard] | None = None,
) -> dict[str, dict[str, Any]]:
    """Answers as they are kept, as `viewer` sees them; known: tracks looked up for them already.

    Whose hits are all unknown to the viewer found nothing; who may not ask is told nothing.
    """
    cards = dict(known or {})
    wanted = {hit["track"]["id"] for hit in _hits_of_tracks(answers)} - set(cards)
    cards |= cards_of(_seen(wanted, viewer))
    return {
        name: _shown(name, answer, viewer, cards)
        for name, answer in answers.items()
        if name in answer_names()
    }


def _hits_of_tracks(answers: Mapping[str, dict[str, Any]]) -> Iterable[dict[str, Any]]:
    return (hit for answer in answers.values() for hit in answer["hits"] if hit["track"])


def _seen(track_ids: set[int], viewer: Any) -> list[int]:
    if not track_ids or not hidden_collections(viewer):
        return list(track_ids)
    return list(visible_tracks(viewer).filter(pk__in=track_ids).values_list("pk", flat=True))


def _shown(
    name: str, answer: dict[str, Any], viewer: Any, cards: Mapping[int, TrackCard]
) -> dict[str, Any]:
    answerer = answerer_of(name)
    if not answerer.may_ask(viewer):
        return {**answer, "verdict": "unavailable", "reason": NOT_FOR_YOU, "hits": []}
    seen = [hit for hit in answer["hits"] if not hit["track"] or hit["track"]["id"] in cards]
    hits = answerer.shown(seen, viewer)
    if len(hits) < len(answer["hits"]):
        verdict = _verdict_of_what_is_left(answer, hits)
        answer = {**answer, "verdict": verdict, "reason": ""}
    tracked = [
        {**hit, "track": track_json(cards[hit["track"]["id"]])} if hit["track"] else hit
        for hit in hits
    ]
    return {**answer, "hits": tracked}


def _verdict_of_what_is_left(answer: dict[str, Any], hits: list[dict[str, Any]]) -> str:
    if not hits:
        return "none"
    first, best = hits[0], answer["hits"][0]
    same_place = (first["track"], first["start_ms"]) == (best["track"], best["start_ms"])
    is_best_left = same_place and first["evidence"].items() >= best["evidence"].items()
    return str(answer["verdict"]) if is_best_left else "maybe"
