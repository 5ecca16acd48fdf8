"""The status page of the admin console: spaces, encoders, the queue, failures and drift."""

from collections import Counter
from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.utils import timezone

from apps.analysis.reconcile import find_drift, mend, repair
from apps.analysis.spaces import current_space, encoder_state, progress_of, use_encoder
from apps.catalog.admin_forms import CuratedAdmin
from apps.catalog.models import Listening, Removal, Space, SpaceState, State
from audiosearch.engine.analyzers.registry import analyzer_names, analyzer_spec
from audiosearch.engine.errors import EngineError

SHOWN = 50


@admin.register(Space)
class SpaceAdmin(CuratedAdmin):
    """The list of spaces is the status page; nothing of it is edited by hand."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_urls(self) -> list[Any]:
        page = self.admin_site.admin_view(self.status)
        return [path("", page, name="catalog_space_changelist")]

    def status(self, request: HttpRequest) -> HttpResponse:
        """Show, or do what a button asks for: use an encoder, look for drift, mend it."""
        if request.method == "POST" and "use" in request.POST:
            return self._use(request, request.POST["use"])
        drifts = None
        try:
            if request.method == "POST" and "mend" in request.POST:
                mend()
                found = find_drift()
                repair(found)
                messages.success(request, f"{len(found)} differences mended, or queued to be.")
                return redirect("admin:catalog_space_changelist")
            if "drift" in request.GET:
                drifts = find_drift()
        except EngineError as error:
            messages.error(request, str(error))
        context = {
            **self.admin_site.each_context(request),
            "title": "Status",
            "opts": Space._meta,
            "spaces": [(space, progress_of(space)) for space in _spaces()],
            "encoders": [_encoder(name) for name in analyzer_names("embedding")],
            "queue": _queue(),
            "failures": _failures(),
            "removals": Removal.objects.count(),
            "drifts": drifts,
            "drift_counts": Counter(drift.kind for drift in drifts or []).items(),
        }
        context["shown_drifts"] = (drifts or [])[:SHOWN]
        return render(request, "admin/catalog/status.html", context)

    def _use(self, request: HttpRequest, name: str) -> HttpResponse:
        try:
            space = use_encoder(name)
        except EngineError as error:
            messages.error(request, str(error))
        else:
            messages.success(request, f"{space.name} takes over as soon as it is complete.")
        return redirect("admin:catalog_space_changelist")


def _spaces() -> list[Space]:
    current_space()
    return list(Space.objects.order_by("-is_default", "-created_at"))


def _encoder(name: str) -> dict[str, Any]:
    spec = analyzer_spec(name)
    return {
        "name": name,
        "title": spec.title,
        "state": encoder_state(name),
        "in_use": Space.objects.filter(name=spec.space, is_default=True).exists(),
    }


def _queue() -> dict[str, Any]:
    waiting = (
        Listening.objects.filter(state=State.QUEUED)
        .exclude(space__state=SpaceState.RETIRED)
        .order_by("queued_at")
    )
    oldest = waiting.first()
    return {
        "waiting": waiting.count(),
        "listening": Listening.objects.filter(state=State.LISTENING).count(),
        "oldest": timezone.now() - oldest.queued_at if oldest else None,
        "since": oldest.queued_at if oldest else None,
        "reason": oldest.reason if oldest else "",
    }


def _failures() -> list[Listening]:
    failed = Listening.objects.filter(state=State.FAILED).select_related("track", "space")
    return list(failed.order_by("-finished_at")[:20])
