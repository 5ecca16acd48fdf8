"""Other renderings of a track's tune, on its page."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_safe

from apps.access.pages import allowed
from apps.access.permissions import may_search
from apps.access.throttles import throttled
from apps.analysis.answers import Answer
from apps.analysis.models import SpaceKind, TrackAnalysis
from apps.analysis.spaces import active_name
from apps.catalog.selectors import visible_tracks
from apps.jobs.models import PENDING
from apps.search.asking import ask_by_track
from apps.search.results import SearchSettings
from apps.search.showing import shown_answers
from apps.search.views import TUNE, respond
from audiosearch.engine.errors import EngineError
from audiosearch.engine.tunes.probability import MAYBE
from audiosearch.web.errors import status_of

MOST = 20


@require_safe
@allowed(may_search)
@throttled
def same_tune(request: HttpRequest, pk: int) -> HttpResponse:
    """The tracks that have its tune and which sections correspond; a part of a page for htmx."""
    track = get_object_or_404(visible_tracks(request.user), pk=pk)
    own = TrackAnalysis.objects.filter(track=track, space__name=active_name(SpaceKind.MELODY))
    waiting, status = own.filter(state__in=PENDING).exists(), 200
    answers = {TUNE: Answer("none").as_json()}
    if not waiting:
        asked = SearchSettings(top_k=MOST)
        try:
            found = ask_by_track(track_id=pk, asked=asked, by=request.user, names=[TUNE])
            answers = found.as_json()
        except EngineError as error:
            answers = {TUNE: Answer("unavailable", str(error)).as_json()}
            status = status_of(error)
    answer = shown_answers(answers, request.user)[TUNE]
    answer["hits"] = [hit for hit in answer["hits"] if hit["probability"] >= MAYBE]
    context = {"track": track, "answer": answer, "waiting": waiting}
    if request.htmx:  # type: ignore[attr-defined]  # which shows good answers only
        return respond(request, "search/_versions.html", context, 200)
    return respond(request, "search/versions.html", context, status)
