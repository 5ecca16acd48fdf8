"""The page of one search: its answers, those that are still to come, and what to do with it."""

import uuid
from pathlib import Path
from typing import Any

from django.contrib import messages
from django.core.files.storage import default_storage
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe

from apps.access.pages import allowed, require_page
from apps.access.permissions import may_add, may_search
from apps.access.throttles import throttled, wait_before_search
from apps.analysis.answers import Answer
from apps.catalog.services.adding import add_track
from apps.catalog.streaming import audio_response
from apps.search.answerers import answer_names, answerer_of, askable_by
from apps.search.asking import Answered, ask_by_clip
from apps.search.forms import SettingsForm
from apps.search.models import Search
from apps.search.recent import (
    ANSWERED,
    claim_answer,
    delete_search,
    keep_answer,
    keep_search,
    shown_result,
)
from apps.search.results import SearchResult
from apps.search.showing import shown_answers
from apps.search.views import TUNE, ask_first, choices, respond
from audiosearch.engine.errors import EngineError
from audiosearch.web.errors import status_of


@require_page
@allowed(may_search)
@throttled
def result(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """A search as it was found; posting searches again with the same sound, settings changed."""
    kept = get_object_or_404(Search, pk=pk)  # whoever may search and knows the address
    form = SettingsForm(request.POST or kept.settings, by=request.user)
    status = 200
    if request.method == "POST" and form.is_valid():
        try:
            answered, later = ask_first(request, form, _path_of(kept), kept.clip_name)
        except FileNotFoundError as error:
            raise Http404 from error
        except EngineError as error:
            form.add_error(None, str(error))
            status = status_of(error)
        else:
            new = keep_search(
                user=request.user,
                clip=str(kept.clip.name),
                clip_name=kept.clip_name,
                settings=form.kept(),
                answered=answered,
                later=later,
            )
            return redirect("search-result", pk=new.pk)
    context = {**_shown(kept, request.user), "form": form, **choices(request.user)}
    if form.errors and status == 200:
        status = 400
    return respond(request, "search/result.html", context, status)


@require_POST
@allowed(may_search)
def answer(request: HttpRequest, pk: uuid.UUID, name: str) -> HttpResponse:
    """One answer of a search, for a page that has loaded without it; asked for by whoever searched.

    The first time is part of the search; each later one counts as another.
    """
    kept = get_object_or_404(Search, pk=pk, user=request.user.pk)
    if name not in kept.answers or name not in askable_by(request.user):
        raise Http404
    is_settled = kept.answers[name]["verdict"] in ANSWERED - {"unavailable"}
    if not is_settled:
        wait_s = 0 if claim_answer(kept, name) else wait_before_search(request)
        if wait_s:
            part = render(request, "_too_often.html", {"wait_s": wait_s}, status=429)
            part.headers["Retry-After"] = str(wait_s)
            return part
        kept = keep_answer(kept, _answer_again(kept, name, request.user))
    if not request.htmx:  # type: ignore[attr-defined]
        return redirect("search-result", pk=pk)
    context = _shown(kept, request.user)
    one = next(one for one in context["answers"] if one["name"] == name)
    return render(request, "search/_answer.html", {**context, "one": one, "is_late": True})


def _answer_again(kept: Search, name: str, by: Any) -> Answered:
    form = SettingsForm(kept.settings, by=by)
    if not form.is_valid():  # a collection is gone, or hidden by now
        reason = "What was searched in is not there any more; change the search."
        return Answered(SearchResult({}, []), {name: Answer("unavailable", reason)})
    try:
        return ask_by_clip(
            clip=_path_of(kept), name=kept.clip_name, asked=form.settings(), by=by, names=[name]
        )
    except FileNotFoundError as error:
        raise Http404 from error
    except EngineError as error:
        return Answered(SearchResult({}, []), {name: Answer("unavailable", str(error))})


def _shown(kept: Search, viewer: Any) -> dict[str, Any]:
    """A search as its viewer may see it: matches first, then what was to be first, else in the
    order of `settings.ANSWERS`."""
    is_own = kept.user_id == viewer.pk
    done = {name: each for name, each in kept.answers.items() if each["verdict"] in ANSWERED}
    shown = shown_answers(done, viewer)
    askable = askable_by(viewer)
    answers: list[dict[str, Any]] = [
        {"name": name, "who": answerer_of(name), "answer": shown.get(name)}
        for name in answer_names()
        if name in askable and (name in shown or (name in kept.answers and is_own))
    ]
    first = kept.settings.get("first")
    answers.sort(key=lambda one: _standing(one["answer"], one["name"] == first))
    return {
        "search": kept,
        "result": shown_result(kept, viewer),
        "answers": answers,
        "is_own": is_own,
        "is_hum": first == TUNE,
        "may_add_clip": is_own and may_add(viewer),
    }


def _standing(answer: dict[str, Any] | None, is_first: bool) -> tuple[bool, bool]:
    return not (answer and answer["verdict"] == "match"), not is_first


def _path_of(kept: Search) -> Path:
    return Path(default_storage.path(str(kept.clip.name)))


def _own(request: HttpRequest, pk: uuid.UUID) -> Search:
    """A search of this user's own, or any for staff."""
    kept = get_object_or_404(Search, pk=pk)
    if request.user.is_staff or (kept.user_id and kept.user_id == request.user.pk):
        return kept
    raise Http404


@require_safe
@allowed(may_search)
def clip(request: HttpRequest, pk: uuid.UUID) -> HttpResponseBase:
    """The sound that was searched with."""
    try:
        return audio_response(request, str(get_object_or_404(Search, pk=pk).clip.name))
    except FileNotFoundError as error:
        raise Http404 from error


@require_POST
@allowed(may_add)
def add(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Add the sound that somebody searched with to the catalogue."""
    kept = get_object_or_404(Search, pk=pk, user=request.user.pk)
    try:
        added = add_track(source=_path_of(kept), name=kept.clip_name, added_by=request.user)
    except FileNotFoundError as error:
        raise Http404 from error
    except EngineError as error:
        messages.error(request, str(error))
        return redirect("search-result", pk=pk)
    told = "Added." if added.created else "It was in the catalogue already; this is it."
    messages.success(request, told)
    return redirect("track", pk=added.track.pk)


@require_POST
@allowed(may_search)
def forget(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Forget one search, with its clip."""
    delete_search(_own(request, pk))
    messages.success(request, "Search forgotten.")
    return redirect("search")
