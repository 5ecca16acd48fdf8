"""The search's pages."""

import re
import uuid
from pathlib import Path
from typing import Any

from django.core.files import File
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import TemporaryUploadedFile
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_safe

from apps.access.pages import allowed, require_page
from apps.access.permissions import may_search
from apps.access.throttles import throttled
from apps.access.uploads import takes_files
from apps.analysis.spaces import active_space, progress_of
from apps.catalog.names import shown_name
from apps.catalog.selectors import visible_tags, visible_tracks
from apps.search.answerers import answerer_of, askable_by
from apps.search.asking import Answered, ask_by_clip
from apps.search.excerpt import EXCERPT
from apps.search.forms import SettingsForm
from apps.search.recent import keep_search, recent_searches
from apps.search.services import similar_to_track
from audiosearch.engine.errors import EngineError
from audiosearch.web.errors import RETRY_AFTER_S, status_of

TUNE = "same_tune"
"""The answer that a hum asks for first."""


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
        answered, later = ask_first(request, form, clip, name)
    except EngineError as error:
        form.add_error(None, str(error))
        return _page(request, form, status=status_of(error))
    with clip.open("rb") as file:
        stored = default_storage.save(_clip_name(name), File(file))
    kept = keep_search(
        user=request.user,
        clip=stored,
        clip_name=name,
        settings=form.kept(),
        answered=answered,
        later=later,
    )
    return redirect("search-result", pk=kept.pk)


def ask_first(
    request: HttpRequest, form: SettingsForm, clip: Path, name: str
) -> tuple[Answered, list[str]]:
    """All answers at once; or, for a page that asks for them one by one, the first of them.

    The first is the form's, else that of `settings.ANSWERS`. Gives the names of the others, too.
    Raises EngineError when there is nothing to show.
    """
    first = form.cleaned_data["first"]
    names = sorted(askable_by(request.user), key=lambda name: name != first)
    count = 1 if "later" in request.POST else len(names)
    answered = ask_by_clip(
        clip=clip, name=name, asked=form.settings(), by=request.user, names=names[:count]
    )
    return answered, names[count:]


def _clip_name(name: str) -> str:
    suffix = Path(name).suffix.lower()
    return f"queries/{uuid.uuid4()}{suffix if re.fullmatch(r'[.][a-z0-9]{1,5}', suffix) else ''}"


def _page(request: HttpRequest, form: SettingsForm, status: int = 200) -> HttpResponse:
    askable = askable_by(request.user)
    context = {
        "form": form,
        "searches": recent_searches(request.user),
        "progress": progress_of(active_space(), by=request.user),
        "has_tracks": visible_tracks(request.user).filter(for_enrolment=False).exists(),
        "has_excerpt": EXCERPT.exists(),
        "lookup": next((name for name in askable if answerer_of(name).light), ""),
        "may_hum": TUNE in askable,
        **choices(request.user),
    }
    return respond(request, "search/search.html", context, status)


def respond(
    request: HttpRequest, template: str, context: dict[str, Any], status: int
) -> HttpResponse:
    """A page, that says when to come back where it is a matter of time."""
    response = render(request, template, context, status=status)
    if status == 503:
        response["Retry-After"] = str(RETRY_AFTER_S)
    return response


def choices(user: Any) -> dict[str, Any]:
    """What the settings of a search are chosen from."""
    return {"tag_names": visible_tags(user).values_list("name", flat=True)[:500]}


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
    context = {"track": track, "result": found, "form": form, **choices(request.user)}
    if part and status != 200:
        status = 200  # htmx shows only good answers; the sentence is in the fragment
    return respond(request, template, context, status)
