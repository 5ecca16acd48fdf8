"""What the pages ask of the analysis."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST

from apps.access.pages import allowed
from apps.access.permissions import may_search
from apps.analysis.queueing import reanalyze
from apps.catalog.permissions import may_edit
from apps.catalog.selectors import visible_tracks


@require_POST
@allowed(may_search)
def track_relisten(request: HttpRequest, pk: int) -> HttpResponse:
    """Analyse a track again from its file."""
    found = get_object_or_404(visible_tracks(request.user), pk=pk)
    if not may_edit(request.user, found):
        raise PermissionDenied
    reanalyze([pk])
    messages.success(request, "It will be listened to again.")
    return redirect("track", pk=pk)
