"""The monitoring's pages: long recordings, and what was played in them."""

import json
import uuid
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.core.files.uploadedfile import TemporaryUploadedFile
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe
from django_htmx.http import HttpResponseClientRedirect

from apps.access.pages import allowed, require_page
from apps.access.throttles import throttled
from apps.access.uploads import takes_files
from apps.catalog.selectors import visible_tracks
from apps.jobs.models import State
from apps.monitoring.formats import FORMATS, as_json
from apps.monitoring.forms import ScanForm
from apps.monitoring.models import Scan
from apps.monitoring.permissions import may_scan
from apps.monitoring.play_logs import play_log_of
from apps.monitoring.services import delete_scan, refuse_too_many, request_scan, scans_of
from apps.monitoring.timeline import timeline_of
from apps.search.views import respond
from audiosearch.engine.errors import EngineError
from audiosearch.web.errors import status_of

LISTED = 100


@takes_files(may_scan, refuse_too_many)
@require_page
@allowed(may_scan)
@throttled
def scans(request: HttpRequest) -> HttpResponse:
    """Choose a long recording, and all that one has had scanned."""
    form = ScanForm(request.POST if request.method == "POST" else None, by=request.user)
    if request.method != "POST":
        return _page(request, form)
    upload = request.FILES.get("file")
    if not upload:
        form.add_error(None, "Choose or drop a recording first.")
    if not form.is_valid() or not upload:
        return _page(request, form, status=400)
    assert isinstance(upload, TemporaryUploadedFile)  # noqa: S101 - the only upload handler
    try:
        asked_for = request_scan(
            source=Path(upload.temporary_file_path()),
            name=upload.name or "",
            asked=form.settings(),
            by=request.user,
        )
    except EngineError as error:
        form.add_error(None, str(error))
        return _page(request, form, status=status_of(error))
    if request.htmx:  # type: ignore[attr-defined]
        return HttpResponseClientRedirect(reverse("scan", args=[asked_for.pk]))
    return redirect("scan", pk=asked_for.pk)


@require_safe
@allowed(may_scan)
def scan(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """One scan: how far it is, or its play log; htmx asks for the changing part alone."""
    found = _own(request, pk)
    context: dict[str, Any] = {"scan": found}
    if found.state == State.READY:
        log = play_log_of(found.duration_ms, found.plays, request.user)
        context |= {"log": log, "timeline": timeline_of(log)}
    is_part = request.htmx  # type: ignore[attr-defined]
    return render(request, "monitoring/_scan.html" if is_part else "monitoring/scan.html", context)


@require_safe
@allowed(may_scan)
def download(request: HttpRequest, pk: uuid.UUID, kind: str) -> HttpResponse:
    """The play log as a file."""
    found = _own(request, pk)
    if found.state != State.READY or kind not in ("json", *FORMATS):
        raise Http404
    log = play_log_of(found.duration_ms, found.plays, request.user)
    if kind == "json":
        media_type = "application/json"
        body = json.dumps(as_json(found.name, log), ensure_ascii=False, indent=1)
    else:
        media_type, write = FORMATS[kind]
        body = write(found.name, log)
    headers = {"Content-Disposition": f'attachment; filename="play-log.{kind}"'}
    return HttpResponse(body, content_type=f"{media_type}; charset=utf-8", headers=headers)


@require_POST
@allowed(may_scan)
def forget(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Cancel a scan, or forget what came of it."""
    found = _own(request, pk)
    delete_scan(scan=found)
    messages.success(request, "Cancelled." if found.pending else "Forgotten.")
    return redirect("scans")


def _own(request: HttpRequest, pk: uuid.UUID) -> Scan:
    return get_object_or_404(scans_of(request.user), pk=pk)


def _page(request: HttpRequest, form: ScanForm, status: int = 200) -> HttpResponse:
    if request.htmx:  # type: ignore[attr-defined]  # which shows only good answers
        return render(request, "monitoring/_problems.html", {"form": form})
    context = {
        "form": form,
        "scans": scans_of(request.user)[:LISTED],
        "has_tracks": visible_tracks(request.user).filter(for_enrolment=False).exists(),
        "hours": settings.MAX_SCAN_DURATION_S / 3600,
        "megabytes": settings.MAX_FILE_BYTES >> 20,
        "kept_days": settings.SCANS_KEPT_DAYS,
    }
    return respond(request, "monitoring/scans.html", context, status)
