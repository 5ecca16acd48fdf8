"""The REST API of the service's health: alive, ready, and what Prometheus is told."""

import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from rest_framework import serializers, status
from rest_framework.permissions import AllowAny, IsAdminUser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.analysis.index import get_index, get_landmark_index
from apps.analysis.models import TrackAnalysis
from apps.analysis.space_indexes import index_of
from apps.analysis.spaces import active_space, analyzer_state
from apps.jobs.models import State
from apps.jobs.workers import look_at_workers
from apps.ops.first_start import redis_answers
from audiosearch.engine.errors import EngineError, IndexUnreadable, SpaceMissing

PROBED_S = 1


class LiveSerializer(serializers.Serializer):
    status = serializers.CharField()


class DependencySerializer(serializers.Serializer):
    ok = serializers.BooleanField()
    latency_ms = serializers.FloatField()
    message = serializers.CharField()


class ReadySerializer(serializers.Serializer):
    status = serializers.CharField()
    dependencies = serializers.DictField(child=DependencySerializer())
    workers = DependencySerializer()


class LiveView(APIView):
    """Is the process alive?"""

    authentication_classes = []
    permission_classes = [AllowAny]

    @extend_schema(
        tags=["health"], summary="Is the process alive?", responses=LiveSerializer, auth=[]
    )
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

    @extend_schema(
        tags=["health"],
        summary="Can searches be answered?",
        description="Each service that it stands on, with its latency; 503 names what is away. "
        "`workers` is not ok when one is stopped or silent, or none is there: searches are "
        "answered all the same, so that alone is no 503, but what is added may wait.",
        responses={200: ReadySerializer, 503: ReadySerializer},
        auth=[],
    )
    def get(self, request: Request) -> Response:
        checks = {"database": _check_database, "index": _check_index, "model": _check_model}
        if settings.REDIS_URL:
            checks["redis"] = _check_redis
        found = {name: _timed(check) for name, check in checks.items()}
        ok = all(result["ok"] for result in found.values())
        return Response(
            {
                "status": "ready" if ok else "not ready",
                "dependencies": found,
                "workers": _timed(_check_workers),
            },
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
        _probe_index(int(time.monotonic() / PROBED_S))
    except IndexUnreadable as error:
        return str(error)
    except EngineError:
        return "The vector index does not answer."
    except DatabaseError:
        return ""  # the index answers; which space serves is for the database to say
    return ""


@lru_cache(maxsize=1)
def _probe_index(moment: int) -> None:
    """A search, at most once in PROBED_S while it succeeds, however many ask."""
    get_index().ping()
    get_landmark_index().ping()
    space = active_space()
    try:
        index_of(space).probe()
    except SpaceMissing as error:
        if TrackAnalysis.objects.filter(space__name=space.name, state=State.READY).exists():
            raise IndexUnreadable("The vector index lost its content; it is built anew.") from error


def _check_workers() -> str:
    """Without their names, as anybody may ask; the status page has them."""
    try:
        return look_at_workers().summary
    except DatabaseError:
        return ""  # which is told by its own check


def _check_redis() -> str:
    return "" if redis_answers(settings.REDIS_URL) else "Redis does not answer."


def _check_model() -> str:
    try:
        encoder = active_space().analyzer
    except DatabaseError:
        return "The database does not say which encoder serves."
    state = analyzer_state(encoder)
    return "" if state == "ready" else f"The encoder {encoder} is not ready: {state}."
