"""The search's pages."""

import re
import uuid
from pathlib import Path
from typing import Any

from django.contrib import messages
from django.core.files import File
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import TemporaryUploadedFile
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe

from apps.access.pages import allowed, require_page
from apps.access.permissions import may_search
from apps.access.throttles import throttled
from apps.access.uploads import takes_files
from apps.analysis.spaces import active_space, progress_of
from apps.catalog.names import shown_name
from apps.catalog.selectors import visible_tags, visible_tracks
from apps.catalog.streaming import audio_response
from apps.search.forms import SettingsForm
from apps.search.models import Search
from apps.search.recent import delete_search, keep_search, recent_searches, shown_result
from apps.search.services import search_by_clip, similar_to_track
from audiosearch.engine.errors import EngineError
from audiosearch.web.errors import RETRY_AFTER_S, status_of


@takes_files(may_search)
@require_page
@allowed(may_search)
@throttled
def search(request: HttpRequest) -> HttpResponse:
    """Choose a clip and search; every search gets an address of its own."""
    if request.method != "POST":
        return _page(request, SettingsForm(by=request.user))
    form = SettingsForm(request.POST, by=request.user)
    upload = request.FILES.get("clip")
    if not upload:
        form.add_error(None, "Choose, drop or record a sound first.")
    if not form.is_valid() or not upload:
        return _page(request, form, status=400)
    assert isinstance(upload, TemporaryUploadedFile)  # noqa: S101 - the only upload handler
    name = shown_name(upload.name or "")
    clip = Path(upload.temporary_file_path())
    try:
        result = search_by_clip(clip=clip, name=name, asked=form.settings(), by=request.user)
    except EngineError as error:
        form.add_error(None, str(error))
        return _page(request, form, status=status_of(error))
    with clip.open("rb") as file:
        stored = default_storage.save(_clip_name(name), File(file))
    kept = keep_search(
        user=request.user, clip=stored, clip_name=name, settings=form.kept(), result=result
    )
    return redirect("search-result", pk=kept.pk)


def _clip_name(name: str) -> str:
    suffix = Path(name).suffix.lower()
    return f"queries/{uuid.uuid4()}{suffix if re.fullmatch(r'[.][a-z0-9]{1,5}', suffix) else ''}"


def _page(request: HttpRequest, form: SettingsForm, status: int = 200) -> HttpResponse:
    context = {
        "form": form,
        "searches": recent_searches(request.user),
        "progress": progress_of(active_space(), by=request.user),
        "has_tracks": visible_tracks(request.user).filter(for_enrolment=False).exists(),
        **_choices(request.user),
    }
    return _answer(request, "search/search.html", context, status)


def _answer(
    request: HttpRequest, template: str, context: dict[str, Any], status: int
) -> HttpResponse:
    response = render(request, template, context, status=status)
    if status == 503:
        response["Retry-After"] = str(RETRY_AFTER_S)
    return response


def _choices(user: Any) -> dict[str, Any]:
    return {"tag_names": visible_tags(user).values_list("name", flat=True)[:500]}


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
            again = search_by_clip(
                clip=Path(default_storage.path(str(kept.clip.name))),
                name=kept.clip_name,
                asked=form.settings(),
                by=request.user,
            )
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
                result=again,
            )
            return redirect("search-result", pk=new.pk)
    shown = shown_result(kept, request.user)
    context = {"search": kept, "result": shown, "form": form, **_choices(request.user)}
    if form.errors and status == 200:
        status = 400
    return _answer(request, "search/result.html", context, status)


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
@allowed(may_search)
def forget(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Forget one search, with its clip."""
    delete_search(_own(request, pk))
    messages.success(request, "Search forgotten.")
    return redirect("search")


@require_safe
@allowed(may_search)
@throttled
def similar(request: HttpRequest, pk: int) -> HttpResponse:
    """More like a track; the address holds the settings, so it can be shared."""
    track = get_object_or_404(visible_tracks(request.user), pk=pk)
    asked = request.GET.copy()
    asked.setdefault("top_k", "10")
    form = SettingsForm(asked, by=request.user)
    found: dict[str, Any] = {}
    status = 200
    if form.is_valid():
        try:
            asked_for = form.settings()
            found = similar_to_track(track_id=pk, asked=asked_for, by=request.user).as_json()
        except EngineError as error:
            form.add_error(None, str(error))
            status = status_of(error)
    else:
        status = 400
    part = request.headers.get("HX-Request") == "true" and "part" in request.GET
    template = "search/_hits.html" if part else "search/result.html"
    context = {"track": track, "result": found, "form": form, **_choices(request.user)}
    if part and status != 200:
        status = 200  # htmx shows only good answers; the sentence is in the fragment
    return _answer(request, template, context, status)
