"""The REST API of the search, and of the service's health."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpResponse
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from rest_framework import serializers, status
from rest_framework.exceptions import NotFound
from rest_framework.parsers import FormParser, MultiPartParser
from rest_framework.permissions import AllowAny, IsAdminUser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.access.throttles import SearchThrottle
from apps.analysis.index import get_index
from apps.analysis.spaces import active_space, analyzer_state
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
from audiosearch.engine.errors import IndexUnavailable
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

    throttle_classes = [SearchThrottle]
    parser_classes = [MultiPartParser, FormParser, JSONParser]

    @extend_schema(
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
            clip = Path(upload.temporary_file_path())
            result = search_by_clip(
                clip=clip, name=upload.name, asked=form.settings(), by=request.user
            )
        return Response(result.as_json())


class SimilarView(APIView):
    """More like this."""

    throttle_classes = [SearchThrottle]

    @extend_schema(
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


class LiveSerializer(serializers.Serializer):
    status = serializers.CharField()


class DependencySerializer(serializers.Serializer):
    ok = serializers.BooleanField()
    latency_ms = serializers.FloatField()
    message = serializers.CharField()


class ReadySerializer(serializers.Serializer):
    status = serializers.CharField()
    dependencies = serializers.DictField(child=DependencySerializer())


class LiveView(APIView):
    """Is the process alive?"""

    authentication_classes = []
    permission_classes = [AllowAny]

    @extend_schema(summary="Alive", responses=LiveSerializer, auth=[])
    def get(self, request: Request) -> Response:
        return Response({"status": "live"})


class MetricsView(APIView):
    """Everything for Prometheus, which sends the token of somebody of the staff."""

    permission_classes = [IsAdminUser]

    @extend_schema(exclude=True)
    def get(self, request: Request) -> HttpResponse:
        return HttpResponse(generate_latest(), content_type=CONTENT_TYPE_LATEST)


class ReadyView(APIView):
    """Can it answer searches? Each dependency with its latency."""

    authentication_classes = []
    permission_classes = [AllowAny]

    @extend_schema(summary="Ready", responses={200: ReadySerializer, 503: ReadySerializer}, auth=[])
    def get(self, request: Request) -> Response:
        checks = {"database": _check_database, "index": _check_index, "model": _check_model}
        if settings.REDIS_URL:
            checks["redis"] = _check_redis
        found = {name: _timed(check) for name, check in checks.items()}
        ok = all(result["ok"] for result in found.values())
        return Response(
            {"status": "ready" if ok else "not ready", "dependencies": found},
            status.HTTP_200_OK if ok else status.HTTP_503_SERVICE_UNAVAILABLE,
        )


def _timed(check: Callable[[], str]) -> dict[str, Any]:
    began = time.perf_counter()
    problem = check()
    latency_ms = round((time.perf_counter() - began) * 1000, 2)
    return {"ok": not problem, "latency_ms": latency_ms, "message": problem}


def _check_database() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return "The database does not answer."
    return ""


def _check_index() -> str:
    try:
        get_index().ping()
    except IndexUnavailable:
        return "The vector index does not answer."
    return ""


def _check_redis() -> str:
    try:
        redis.Redis.from_url(settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1).ping()
    except redis.RedisError:
        return "Redis does not answer."
    return ""


def _check_model() -> str:
    try:
        encoder = active_space().analyzer
    except DatabaseError:
        return "The database does not say which encoder serves."
    state = analyzer_state(encoder)
    return "" if state == "ready" else f"The encoder {encoder} is not ready: {state}."
