"""The REST API of duplicates; thin, the services do the work."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import status, viewsets
from rest_framework.decorators import action
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response

from apps.access.authentication import has_scope
from apps.access.models import Scope
from apps.access.permissions import MaySearch, may_curate
from apps.discovery import serializers as faces
from apps.discovery.choosing import (
    chosen_copies,
    chosen_pairs,
    cluster_or_404,
    undoable_or_404,
)
from apps.discovery.clusters import cluster_ids, clusters_of
from apps.discovery.keeping import dismiss_pairs, keep_copy, undo_keeping, undoable


class DuplicatePermission(MaySearch):
    """Who may search reads; who is logged in decides of what they may edit."""

    def has_permission(self, request: Any, view: Any) -> bool:
        reading = request.method in SAFE_METHODS
        return super().has_permission(request, view) and (reading or request.user.is_authenticated)


class DuplicateViewSet(viewsets.GenericViewSet):
    """Clusters of tracks that are one recording, as far as one may know of them."""

    serializer_class = faces.ClusterSerializer
    permission_classes = [DuplicatePermission]
    filter_backends: list[Any] = []
    lookup_value_regex = r"\d{1,18}"

    @extend_schema(
        summary="List clusters of duplicates",
        description="Found by landmarks as tracks come in; nothing is ever merged by itself.",
        responses=faces.ClusterSerializer(many=True),
    )
    def list(self, request: Request) -> Response:
        page = self.paginate_queryset(cluster_ids(request.user))
        shown = self.get_serializer(clusters_of(request.user, list(page or [])), many=True)
        return self.get_paginated_response(shown.data)

    @extend_schema(summary="One cluster of duplicates")
    def retrieve(self, request: Request, pk: str) -> Response:
        return Response(self.get_serializer(cluster_or_404(request.user, int(pk))).data)

    @extend_schema(
        summary="Keep one copy for the others",
        description=(
            "Tags, collection and empty fields move to the copy that is kept, as far as nobody "
            "learns of what they could not see; speakers and enrolments where a curator asks with "
            "the scope voices. The others, all of which the kept one has to hold, are in no answer "
            "any more, and are deleted after 30 days, unless it is undone."
        ),
        request=faces.KeepSerializer,
        responses=faces.KeptCopySerializer,
    )
    @action(detail=True, methods=["post"])
    def keep(self, request: Request, pk: str) -> Response:
        cluster = cluster_or_404(request.user, int(pk))
        form = faces.KeepSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        asked = form.validated_data
        chosen = chosen_copies(request.user, cluster, asked["track"], asked.get("retire"))
        kept = keep_copy(
            kept_id=chosen.kept.pk,
            other_ids=[track.pk for track in chosen.others],
            by=request.user,
            voices=may_curate(request.user) and has_scope(request, Scope.VOICES),
        )
        return Response(faces.KeptCopySerializer(kept).data)

    @extend_schema(
        summary="Say that tracks are no duplicates",
        description="That is remembered for ever.",
        request=faces.DismissSerializer,
        responses={204: None},
    )
    @action(detail=True, methods=["post"])
    def dismiss(self, request: Request, pk: str) -> Response:
        cluster = cluster_or_404(request.user, int(pk))
        form = faces.DismissSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        ids = chosen_pairs(request.user, cluster, form.validated_data.get("tracks"))
        dismiss_pairs(track_ids=ids, by=request.user)
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(
        summary="What was kept and can be undone",
        responses=faces.KeptCopySerializer(many=True),
    )
    @action(detail=False, methods=["get"], pagination_class=None)
    def kept(self, request: Request) -> Response:
        return Response(faces.KeptCopySerializer(undoable(request.user), many=True).data)

    @extend_schema(
        summary="Bring retired copies back",
        description="What moved to the copy that was kept goes back, unless it was changed since.",
        request=faces.UndoSerializer,
        responses={204: None},
    )
    @action(detail=False, methods=["post"])
    def undo(self, request: Request) -> Response:
        form = faces.UndoSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        kept = undoable_or_404(request.user, form.validated_data["undo"])
        undo_keeping(kept_copy=kept, by=request.user)
        return Response(status=status.HTTP_204_NO_CONTENT)
