"""The REST API of the search."""

from pathlib import Path
from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.exceptions import NotFound
from rest_framework.parsers import FormParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.access.models import Scope
from apps.access.permissions import may_search
from apps.access.throttles import SearchThrottle
from apps.access.uploads import takes_files
from apps.catalog.models import Track
from apps.search.results import SearchResult, SearchSettings
from apps.search.serializers import (
    SearchByClipSerializer,
    SearchByTrackSerializer,
    SearchRequestSerializer,
    SearchResultSerializer,
    SearchSettingsSerializer,
)
from apps.search.services import search_by_clip, similar_to_track
from audiosearch.engine.audio.choice import with_stream
from audiosearch.web.parsers import JSONParser

LISTS = ("collection", "kind")


def _flat(data: Any) -> Any:
    """Form data with the lists that repeated or comma-separated fields stand for."""
    if not hasattr(data, "getlist"):
        return data
    values = {key: data.get(key) for key in data if data.get(key) != ""}
    for key in (*LISTS, "tags"):
        if key in values:
            values[key] = [part for item in data.getlist(key) for part in item.split(",") if part]
    return values


def _similar(track_id: int, asked: SearchSettings, by: Any) -> SearchResult:
    try:
        return similar_to_track(track_id=track_id, asked=asked, by=by)
    except Track.DoesNotExist as error:
        raise NotFound(f"There is no track {track_id}.") from error


class SearchView(APIView):
    """Search by sound."""

    token_scope = Scope.READ
    throttle_classes = [SearchThrottle]
    parser_classes = [MultiPartParser, FormParser, JSONParser]

    @takes_files(may_search)
    @extend_schema(
        tags=["search"],
        summary="Search by a clip or by a track",
        description="Send a clip as multipart `file`, or JSON with the id of a `track`.",
        request={
            "multipart/form-data": SearchByClipSerializer,
            "application/json": SearchByTrackSerializer,
        },
        responses=SearchResultSerializer,
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
        form = SearchRequestSerializer(data=_flat(request.data))
        form.is_valid(raise_exception=True)
        upload = form.validated_data.get("file")
        if upload is None:
            result = _similar(form.validated_data["track"], form.settings(), request.user)
        else:
            stream = form.validated_data.get("stream")
            clip = with_stream(Path(upload.temporary_file_path()), stream)
            result = search_by_clip(
                clip=clip, name=upload.name, asked=form.settings(), by=request.user
            )
        return Response(result.as_json())


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
        form = SearchSettingsSerializer(data=_flat(request.query_params))
        form.is_valid(raise_exception=True)
        return Response(_similar(pk, form.settings(), request.user).as_json())
