"""The console's tracks with how far each is, and the status page: spaces, queue and drift."""

from collections import Counter
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import path
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from apps.analysis.drift import find_drift, repair
from apps.analysis.models import Leftover, Space, SpaceKind, SpaceState, TrackAnalysis
from apps.analysis.queueing import reanalyze
from apps.analysis.reconcile import reconcile
from apps.analysis.removing import drop_space
from apps.analysis.slices import last_verified
from apps.analysis.space_indexes import size_of
from apps.analysis.spaces import active_space, analyzer_state, progress_of, use_analyzer
from apps.catalog.admin import TrackAdmin
from apps.catalog.admin_forms import ReadOnlyAdmin
from apps.catalog.models import Removal, Track
from apps.catalog.selectors import serving_analysis
from apps.jobs.models import State
from apps.jobs.workers import look_at_workers
from audiosearch.engine.analyzers.registry import analyzer_names, analyzer_spec
from audiosearch.engine.errors import EngineError

SHOWN = 50
STATUS = "admin:analysis_space_changelist"


@admin.register(Track)
class AnalysedTrackAdmin(TrackAdmin):
    """The tracks, with the state of each analysis."""

    list_display = [*TrackAdmin.list_display, "state"]
    list_filter = [*TrackAdmin.list_filter, "analyses__space"]
    actions = [*TrackAdmin.actions, "listen_again"]
    fieldsets = [
        TrackAdmin.fieldsets[0],
        ("Heard", {"fields": ["heard", "states"]}),
        *TrackAdmin.fieldsets[2:],
    ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        fields = super().get_readonly_fields(request, obj)
        return [*fields, "states"] if obj else fields

    @admin.display(description="state")
    def state(self, track: Track) -> SafeString:
        row = serving_analysis(track)
        return _state(row) if row else SafeString("")

    @admin.display(description="states")
    def states(self, track: Track) -> SafeString:
        rows = track.analyses.all()
        return format_html_join(
            "", "<p>{}: {}</p>", ((row.space.name, _state(row)) for row in rows)
        )

    @admin.action(description="Listen again")
    def listen_again(self, request: HttpRequest, queryset: QuerySet[Track]) -> None:
        count = reanalyze(list(queryset.values_list("pk", flat=True)))
        messages.success(request, f"{count} will be listened to again.")


def _state(row: TrackAnalysis) -> SafeString:
    return format_html(
        '<span class="state {}">{} <small>{}</small></span>',
        row.state,
        row.get_state_display(),
        row.reason,
    )


@admin.register(Space)
class SpaceAdmin(ReadOnlyAdmin):
    """The list of spaces is the status page; nothing of it is edited by hand."""

    def get_urls(self) -> list[Any]:
        page = self.admin_site.admin_view(self.status)
        return [path("", page, name="analysis_space_changelist")]

    def status(self, request: HttpRequest) -> HttpResponse:
        """Show, or do what a button asks for: use an encoder, drop a space, look for drift."""
        drifts = None
        try:
            if request.method == "POST":
                return self._act(request)
            if "drift" in request.GET:
                drifts = find_drift()
        except EngineError as error:
            messages.error(request, str(error))
        dropping = Space.objects.filter(state=SpaceState.RETIRED, name=request.GET.get("drop", ""))
        context = {
            **self.admin_site.each_context(request),
            "title": "Status",
            "opts": Space._meta,
            "spaces": _spaces(),
            "dropping": dropping.first(),
            "encoders": [_encoder(name) for name in analyzer_names(SpaceKind.EMBEDDING)],
            "queue": _queue(),
            "workers": look_at_workers(),
            "failures": _failures(),
            "removals": Removal.objects.count(),
            "leftovers": Leftover.objects.values("space").distinct().count(),
            "drifts": drifts,
            "verified": last_verified(),
            "drift_counts": Counter(drift.kind for drift in drifts or []).items(),
            "shown_drifts": (drifts or [])[:SHOWN],
        }
        return render(request, "admin/analysis/status.html", context)

    def _act(self, request: HttpRequest) -> HttpResponse:
        """Raises EngineError."""
        if "use" in request.POST:
            space = use_analyzer(request.POST["use"])
            messages.success(request, f"{space.name} takes over as soon as it is complete.")
        elif "drop" in request.POST:
            space = get_object_or_404(Space, name=request.POST["drop"])
            drop_space(space)
            messages.success(request, f"{space.name} is dropped.")
        elif "mend" in request.POST:
            reconcile()
            found = find_drift()
            repair(found)
            messages.success(request, f"{len(found)} differences mended, or queued to be.")
        return redirect(STATUS)


def _spaces() -> list[dict[str, Any]]:
    """Those in use first; `size_bytes` None while the index does not say."""
    found = []
    for space in Space.objects.order_by("state", "kind", "-created_at"):
        try:
            size_bytes = size_of(space)
        except EngineError:
            size_bytes = None
        found.append({"space": space, "progress": progress_of(space), "size_bytes": size_bytes})
    return found


def _encoder(name: str) -> dict[str, Any]:
    spec = analyzer_spec(name)
    return {
        "name": name,
        "title": spec.title,
        "state": analyzer_state(name),
        "in_use": active_space().name == spec.space,
    }


def _queue() -> dict[str, Any]:
    waiting = (
        TrackAnalysis.objects.filter(state=State.QUEUED)
        .exclude(space__state=SpaceState.RETIRED)
        .order_by("queued_at")
    )
    oldest = waiting.first()
    return {
        "waiting": waiting.count(),
        "running": TrackAnalysis.objects.filter(state=State.RUNNING).count(),
        "since": oldest.queued_at if oldest else None,
        "reason": oldest.reason if oldest else "",
    }


def _failures() -> list[TrackAnalysis]:
    failed = TrackAnalysis.objects.filter(state=State.FAILED).select_related("track", "space")
    failed = failed.exclude(space__state=SpaceState.RETIRED)
    return list(failed.order_by("-finished_at")[:20])
