"""A noisy excerpt to try the search with, for somebody who has no sound at hand."""

from django.conf import settings
from django.http import FileResponse, Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_safe

from apps.access.pages import allowed
from apps.access.permissions import may_search

EXCERPT = settings.DATA_DIR / "demo" / "noisy-excerpt.flac"
"""Written by `./manage demo`; not there in a catalogue that has no demo."""


@require_safe
@allowed(may_search)
def excerpt(request: HttpRequest) -> HttpResponseBase:
    """The excerpt as a file."""
    try:
        return FileResponse(EXCERPT.open("rb"), content_type="audio/flac")
    except FileNotFoundError as error:
        raise Http404 from error
