"""The catalogue's pages."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST, require_safe

from apps.access.pages import allowed, require_page
from apps.access.permissions import may_add, may_search
from apps.access.uploads import takes_files
from apps.catalog.filters import LibraryFilterSet
from apps.catalog.forms import AddForm, BulkForm, TrackForm, split_tags
from apps.catalog.models import Track
from apps.catalog.notices import notices_of
from apps.catalog.permissions import may_edit
from apps.catalog.quotas import has_limits, refuse_upload, refused_quota, told_quota
from apps.catalog.selectors import (
    listed_tracks,
    serving_analysis,
    shown_as,
    visible_speakers,
    visible_tags,
    visible_tracks,
)
from apps.catalog.services.adding import add_track
from apps.catalog.services.deleting import delete_tracks
from apps.catalog.services.editing import edit_track, edit_tracks
from apps.catalog.services.importing import NOT_TRIED
from apps.catalog.streaming import moment_of
from apps.jobs.models import PENDING, State
from audiosearch.engine.errors import Conflict, EngineError, OverQuota
from audiosearch.web.errors import status_of

PAGE = 50


@require_safe
@allowed(may_search)
def library(request: HttpRequest) -> HttpResponse:
    """All tracks, by words, filters and order; 50 a page."""
    chosen = LibraryFilterSet(request.GET, listed_tracks(request.user), request=request)
    tracks = chosen.qs if chosen.is_valid() else Track.objects.none()
    page = Paginator(tracks, PAGE).get_page(request.GET.get("page"))
    asked = request.GET.copy()
    asked.pop("page", None)
    context = {
        "form": chosen.form,
        "page": page,
        "rows": _rows(page, request.user),
        "bulk": BulkForm(by=request.user),
        "query": asked.urlencode(),
        "filtered": any(value for key, value in asked.items() if key != "sort"),
        "tag_names": visible_tags(request.user).values_list("name", flat=True)[:500],
        "pending": [track.pk for track in page if _serving(track)["pending"]],
    }
    return render(request, "catalog/library.html", context)


def _serving(track: Track) -> dict[str, Any]:
    """How far a track is, as the pages show it."""
    analysis = serving_analysis(track)
    state = State(analysis.state) if analysis else State.QUEUED
    return {
        "track_id": track.pk,
        "state": state,
        "label": state.label,
        "reason": analysis.reason if analysis else "",
        "pending": state in PENDING,
    }


def _rows(tracks: Iterable[Any], user: Any) -> list[dict[str, Any]]:
    """What the library shows of each of `listed_tracks`."""
    listed = list(tracks)
    enrolled = visible_speakers(user).in_bulk({track.enrolment_of for track in listed} - {None})
    return [
        {
            "track": track,
            "analysis": _serving(track),
            "may_edit": may_edit(user, track),
            "enrolment_of": enrolled.get(track.enrolment_of),
        }
        for track in listed
    ]


@require_GET
@allowed(may_search)
def library_states(request: HttpRequest) -> HttpResponse:
    """The states of tracks that were still being listened to, swapped into the page by htmx."""
    ids = [
        int(text)
        for text in request.GET.get("ids", "").split(",")
        if text.isdecimal() and len(text) < 19
    ]
    tracks = listed_tracks(request.user).filter(pk__in=ids[:PAGE])
    rows = [{"track": track, "analysis": _serving(track)} for track in tracks]
    pending = [track.pk for track in tracks if _serving(track)["pending"]]
    return render(request, "catalog/_states.html", {"rows": rows, "pending": pending})


@require_POST
@allowed(may_search)
def library_bulk(request: HttpRequest) -> HttpResponse:
    """Move, tag or delete the ticked tracks that this user may edit; deleting asks first."""
    form = BulkForm(request.POST, by=request.user)
    if not form.is_valid():
        messages.error(request, "Tick at least one recording and choose what to do with it.")
        return redirect("library")
    asked = form.cleaned_data
    tracks = [track for track in asked["track"] if may_edit(request.user, track)]
    ids = [track.pk for track in tracks]
    if not ids:
        raise PermissionDenied
    if asked["action"] == "delete":
        if not asked["confirmed"]:
            return render(request, "catalog/confirm_delete.html", {"tracks": tracks})
        messages.success(request, _count(delete_tracks(ids), "deleted"))
    elif asked["action"] == "move":
        changes = {"collection": asked["collection"]}
        try:
            moved = edit_tracks(track_ids=ids, changes=changes, by=request.user)
            messages.success(request, _count(moved, "moved"))
        except Conflict as error:
            messages.error(request, str(error))
    else:
        added = edit_tracks(track_ids=ids, add_tags=split_tags(asked["tags"]))
        messages.success(request, _count(added, "tagged"))
    return redirect("library")


def _count(number: int, verb: str) -> str:
    return f"{number} {'recording' if number == 1 else 'recordings'} {verb}."


@takes_files(may_add, refuse_upload)
@require_page
@allowed(may_add)
def add(request: HttpRequest) -> HttpResponse:
    """Add recordings: from the page's script one file a request, without it all in one form."""
    form = AddForm(request.POST if request.method == "POST" else None, by=request.user)
    outcomes: list[dict[str, Any]] = []
    status = 200
    if form.is_bound and form.is_valid():
        outcomes = _add_each(request, form, request.FILES.getlist("files"))
        status = outcomes[0]["status"] if len(outcomes) == 1 else 200
        if not outcomes:
            form.add_error(None, "Choose at least one file.")
    if form.is_bound and form.errors:
        status = 400
    if "application/json" in request.headers.get("Accept", ""):
        if outcomes:
            return JsonResponse(outcomes[0], status=status)
        message = _first_error(form) if form.is_bound else "Send a form with at least one file."
        return JsonResponse({"outcome": "refused", "message": message}, status=400)
    context = {
        "form": form,
        "outcomes": outcomes,
        "limited": has_limits(request.user),
        "quota": told_quota(request.user),
        "full": refused_quota(request.user),
    }
    return render(request, "catalog/add.html", context, status=status)


def _first_error(form: AddForm) -> str:
    """What is wrong with a form, and with which field of it."""
    field, errors = next(iter(form.errors.items()))
    return f"{form[field].label}: {errors[0]}" if field in form.fields else str(errors[0])


def _add_each(request: HttpRequest, form: AddForm, uploads: list[Any]) -> list[dict[str, Any]]:
    """What came of each; when there is no room for one, the others are not tried."""
    outcomes: list[dict[str, Any]] = []
    for upload in uploads:
        if outcomes and outcomes[-1].get("code") == OverQuota.code:
            outcomes.append({**outcomes[-1], "name": upload.name, "message": NOT_TRIED})
        else:
            outcomes.append(_add_one(request, form, upload))
    return outcomes


def _add_one(request: HttpRequest, form: AddForm, upload: Any) -> dict[str, Any]:
    try:
        outcome = add_track(
            source=Path(upload.temporary_file_path()),
            name=upload.name or "",
            added_by=request.user,
            kind=form.cleaned_data["kind"],
            collection=form.chosen_collection(),
            tags=form.tag_list(),
        )
    except EngineError as error:
        return {
            "outcome": "refused",
            "name": upload.name,
            "code": error.code,
            "message": str(error),
            "status": status_of(error),
        }
    return {
        "outcome": "added" if outcome.created else "already there",
        "name": upload.name,
        "title": outcome.track.title,
        "url": reverse("track", args=[outcome.track.pk]),
        "message": "",
        "status": 201 if outcome.created else 200,
    }


@require_page
@allowed(may_search)
def track(request: HttpRequest, pk: int) -> HttpResponse:
    """One track: player, metadata, states; a form for those who may edit it.

    `from_ms` and `to_ms` in the address mark a moment, at which playing begins.
    """
    if request.method != "POST" and (shown := shown_as(request.user, [pk]).get(pk, pk)) != pk:
        return redirect("track", pk=shown)
    found = get_object_or_404(listed_tracks(request.user), pk=pk)
    editable = may_edit(request.user, found)
    posted = request.POST if request.method == "POST" else None
    form = TrackForm.of(found, posted, by=request.user)
    if request.method == "POST":
        if not editable:
            raise PermissionDenied
        if form.is_valid():
            try:
                changes, tags = form.changes(), form.tag_list()
                edit_track(track=found, changes=changes, tags=tags, by=request.user)
            except Conflict as error:
                messages.error(request, str(error))
            else:
                messages.success(request, "Saved.")
            return redirect("track", pk=pk)
    enrolled: int | None = found.enrolment_of  # type: ignore[attr-defined]
    known = visible_speakers(request.user).in_bulk({found.speaker_id, enrolled} - {None})
    context = {
        "track": found,
        "start_ms": moment_of(request, "from_ms"),
        "end_ms": moment_of(request, "to_ms"),
        "speaker": known.get(found.speaker_id),
        "enrolment_of": known.get(enrolled),
        "analysis": _serving(found),
        "notices": notices_of([found.pk], request.user).get(found.pk, []),
        "may_edit": editable,
        "form": form,
        "pending": [found.pk] if _serving(found)["pending"] else [],
        "tag_names": visible_tags(request.user).values_list("name", flat=True)[:500],
    }
    return render(request, "catalog/track.html", context)


@require_page
@allowed(may_search)
def track_delete(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask, then delete a track with its vectors and file."""
    found = get_object_or_404(visible_tracks(request.user), pk=pk)
    if not may_edit(request.user, found):
        raise PermissionDenied
    if request.method == "POST":
        delete_tracks([pk])
        messages.success(request, f"“{found.title}” deleted.")
        return redirect("library")
    return render(request, "catalog/confirm_delete.html", {"tracks": [found]})
