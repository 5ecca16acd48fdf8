"""The REST API of the search."""

from pathlib import Path
from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.exceptions import NotFound
from rest_framework.parsers import FormParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.access.authentication import has_scope
from apps.access.models import Scope
from apps.access.permissions import may_search
from apps.access.throttles import SearchThrottle
from apps.access.uploads import takes_files
from apps.catalog.models import Track
from apps.search.answerers import answer_names, answerer_of
from apps.search.asking import Answered, ask_by_clip, ask_by_track
from apps.search.serializers import (
    AnsweredSearchSerializer,
    SearchByClipSerializer,
    SearchByTrackSerializer,
    SearchRequestSerializer,
    SearchResultSerializer,
    SearchSettingsSerializer,
)
from apps.search.services import similar_to_track
from apps.search.showing import shown_answers
from audiosearch.engine.audio.choice import with_stream
from audiosearch.web.parsers import JSONParser

LISTS = ("collection", "kind", "answers")


def flat(data: Any) -> Any:
    """Form data with the lists that repeated or comma-separated fields stand for."""
    if not hasattr(data, "getlist"):
        return data
    values = {key: data.get(key) for key in data if data.get(key) != ""}
    for key in (*LISTS, "tags"):
        if key in values:
            values[key] = [part for item in data.getlist(key) for part in item.split(",") if part]
    return values


class SearchView(APIView):
    """Search by sound."""

    token_scope = Scope.READ
    throttle_classes = [SearchThrottle]
    parser_classes = [MultiPartParser, FormParser, JSONParser]

    def is_light(self, request: Request) -> bool:
        """Whether the address itself asks for what takes no model, and for nothing else."""
        names = [name for name in request.query_params.get("answers", "").split(",") if name]
        known = set(names) <= set(answer_names())
        return bool(names) and known and all(answerer_of(name).light for name in names)

    @takes_files(may_search)
    @extend_schema(
        tags=["search"],
        summary="Search by a clip or by a track",
        description=(
            "Send a clip as multipart `file`, or JSON with the id of a `track`. `answers` chooses "
            "what is asked of it; in the address, where it may be, too, it is what counts."
        ),
        parameters=[
            OpenApiParameter("answers", str, description="As in the body; it goes before that one"),
        ],
        request={
            "multipart/form-data": SearchByClipSerializer,
            "application/json": SearchByTrackSerializer,
        },
        responses=AnsweredSearchSerializer,
        examples=[
            OpenApiExample(
                "More like a stretch of a track",
                value={"track": 1, "start_ms": 0, "end_ms": 2000, "top_k": 5},
                request_only=True,
                media_type="application/json",
            )
        ],
    )
    def post(self, request: Request) -> Response:
        data = flat(request.data)
        if "answers" in request.query_params and isinstance(data, dict):
            data = {**data, "answers": request.query_params.getlist("answers")}
        form = SearchRequestSerializer(data=data)
        form.is_valid(raise_exception=True)
        answered = _answered(request, form)
        known = {hit.track.id: hit.track for hit in answered.result.hits}
        answers = shown_answers(answered.as_json(), request.user, known)
        return Response({**answered.result.as_json(), "answers": answers})


def _answered(request: Request, form: SearchRequestSerializer) -> Answered:
    data, names = form.validated_data, form.validated_data["answers"]
    lacking = [name for name in names if not has_scope(request, answerer_of(name).scope)]
    asked: dict[str, Any] = {
        "asked": form.settings(),
        "by": request.user,
        "names": names,
        "without": lacking,
    }
    upload = data.get("file")
    if upload is not None:
        clip = with_stream(Path(upload.temporary_file_path()), data.get("stream"))
        return ask_by_clip(clip=clip, name=upload.name, **asked)
    try:
        return ask_by_track(track_id=data["track"], **asked)
    except Track.DoesNotExist as error:
        raise NotFound(f"There is no track {data['track']}.") from error


class SimilarView(APIView):
    """More like this."""

    throttle_classes = [SearchThrottle]

    @extend_schema(
        tags=["search"],
        summary="Tracks similar to a track",
        parameters=[
            SearchSettingsSerializer,
            OpenApiParameter("id", int, OpenApiParameter.PATH),
        ],
        responses=SearchResultSerializer,
    )
    def get(self, request: Request, pk: int) -> Response:
        form = SearchSettingsSerializer(data=flat(request.query_params))
        form.is_valid(raise_exception=True)
        try:
            result = similar_to_track(track_id=pk, asked=form.settings(), by=request.user)
        except Track.DoesNotExist as error:
            raise NotFound(f"There is no track {pk}.") from error
        return Response(result.as_json())
