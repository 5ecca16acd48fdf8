"""The REST API of the catalogue; thin, the services do the work."""

from pathlib import Path
from typing import Any

from django.db.models import Count, QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_view
from rest_framework import mixins, status, viewsets
from rest_framework.exceptions import NotFound, PermissionDenied
from rest_framework.generics import get_object_or_404
from rest_framework.parsers import FormParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.access.authentication import has_scope
from apps.access.models import Scope
from apps.access.permissions import CuratorOrReadOnly, MayAdd, may_add
from apps.access.uploads import takes_files
from apps.catalog import serializers as faces
from apps.catalog.filters import TrackFilterSet
from apps.catalog.models import TEXT_FIELDS, Collection, Tag, Track
from apps.catalog.permissions import TrackPermission
from apps.catalog.quotas import quota_of, refuse_upload, refused_quota, told_quota
from apps.catalog.selectors import (
    listed_tracks,
    peaks_of,
    seen_by,
    visible_collections,
    visible_tags,
)
from apps.catalog.services.adding import add_track
from apps.catalog.services.deleting import delete_tracks
from apps.catalog.services.editing import delete_collection, edit_track
from apps.catalog.streaming import audio_response
from audiosearch.web.parsers import JSONParser


@extend_schema_view(
    list=extend_schema(summary="List tracks"),
    retrieve=extend_schema(summary="One track"),
)
class TrackViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet):
    """The recordings of the catalogue."""

    queryset = Track.objects.none()
    serializer_class = faces.TrackSerializer
    permission_classes = [TrackPermission]
    parser_classes = [MultiPartParser, FormParser, JSONParser]
    filterset_class = TrackFilterSet
    lookup_value_regex = r"\d+"

    def get_queryset(self) -> QuerySet[Track]:
        return listed_tracks(self.request.user)

    @takes_files(may_add, refuse_upload)
    @extend_schema(
        summary="Add a track",
        request={"multipart/form-data": faces.TrackCreateSerializer},
        responses={
            201: faces.TrackSerializer,
            200: OpenApiResponse(faces.TrackSerializer, "The same bytes were there already"),
        },
    )
    def create(self, request: Request) -> Response:
        form = faces.TrackCreateSerializer(data=request.data, context={"request": request})
        form.is_valid(raise_exception=True)
        data = form.validated_data
        upload = data["file"]
        added = add_track(
            source=Path(upload.temporary_file_path()),
            name=upload.name,
            added_by=request.user,
            fields={key: data[key] for key in TEXT_FIELDS if key in data},
            kind=data.get("kind", ""),
            collection=data.get("collection"),
            tags=data.get("tags", ()),
            stream=data.get("stream", ""),
        )
        code = status.HTTP_201_CREATED if added.created else status.HTTP_200_OK
        return self._answer(added.track, code)

    @extend_schema(
        summary="Change a track",
        request=faces.TrackPatchSerializer,
        responses=faces.TrackSerializer,
    )
    def partial_update(self, request: Request, pk: str) -> Response:
        track = self.get_object()
        asks = isinstance(request.data, dict) and "speaker" in request.data
        if asks and not has_scope(request, Scope.VOICES):
            raise PermissionDenied(f"This token lacks the scope “{Scope.VOICES}”.")
        form = faces.TrackPatchSerializer(data=request.data, context={"request": request})
        form.is_valid(raise_exception=True)
        changes = dict(form.validated_data)
        tags = changes.pop("tags", None)
        return self._answer(edit_track(track=track, changes=changes, tags=tags, by=request.user))

    @extend_schema(summary="Delete a track", responses={204: None})
    def destroy(self, request: Request, pk: str) -> Response:
        delete_tracks([self.get_object().pk])
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(
        operation_id="tracks_audio",
        summary="The audio itself",
        description=(
            "Answers range and conditional requests. What browsers cannot play (AIFF, ALAC, "
            "ADPCM …) comes as FLAC, as everything does with `?flac=1`; `?download=1` gives the "
            "file as it was added."
        ),
        responses={(200, "audio/*"): OpenApiTypes.BINARY, (206, "audio/*"): OpenApiTypes.BINARY},
    )
    def audio(self, request: Request, pk: str) -> Any:
        track = self.get_object()
        download_as = track.original_name if "download" in request.query_params else ""
        try:
            response = audio_response(request, track.file.name, download_as, stream=track.stream)
        except FileNotFoundError as error:
            raise NotFound("The file of this track is gone from the storage.") from error
        if track.audience_id:  # may be theirs no more when they ask again
            response.headers["Cache-Control"] = "private, no-store"
        return response

    @extend_schema(summary="The waveform", responses=faces.PeaksSerializer)
    def peaks(self, request: Request, pk: str) -> Response:
        track = self.get_object()
        return Response({"peaks": peaks_of(track), "duration_ms": track.duration_ms})

    def _answer(self, track: Track, code: int = status.HTTP_200_OK) -> Response:
        listed = get_object_or_404(listed_tracks(self.request.user), pk=track.pk)
        return Response(self.get_serializer(listed).data, code)


@extend_schema_view(
    list=extend_schema(summary="List collections"),
    create=extend_schema(summary="Make a collection"),
    retrieve=extend_schema(summary="One collection"),
    partial_update=extend_schema(summary="Change a collection, or whom it is for"),
    destroy=extend_schema(summary="Delete a collection and keep its tracks"),
)
class CollectionViewSet(viewsets.ModelViewSet):
    """The groupings of tracks; deleting one keeps its tracks."""

    queryset = Collection.objects.none()
    serializer_class = faces.CollectionSerializer
    permission_classes = [CuratorOrReadOnly]
    http_method_names = ["get", "post", "patch", "delete"]

    def get_queryset(self) -> QuerySet[Collection]:
        known = Count("tracks", filter=seen_by(self.request.user, "tracks__"))
        counted = visible_collections(self.request.user).annotate(track_count=known)
        return counted.order_by("sort_key", "pk")

    def perform_destroy(self, collection: Collection) -> None:
        delete_collection(collection)


@extend_schema_view(list=extend_schema(summary="List tags in use"))
class TagViewSet(mixins.ListModelMixin, viewsets.GenericViewSet):
    """The free tags in use, with the number of tracks that carry each."""

    queryset = Tag.objects.none()
    serializer_class = faces.TagSerializer

    def get_queryset(self) -> QuerySet[Tag]:
        user = self.request.user
        counted = Count("tracks", filter=seen_by(user, "tracks__"), distinct=True)
        counted_tags = visible_tags(user).annotate(track_count=counted)
        return counted_tags.order_by("sort_key", "name")


class QuotaView(APIView):
    """What one has added, and how much one may."""

    permission_classes = [MayAdd]

    @extend_schema(
        tags=["quota"],
        summary="How much one has added, and may",
        description=(
            "One's own use only: what others have added is told to nobody. Ask with the size of a "
            "file before it is sent, and `refusal` says whether there is room for it."
        ),
        parameters=[faces.QuotaRequestSerializer],
        responses=faces.QuotaSerializer,
    )
    def get(self, request: Request) -> Response:
        form = faces.QuotaRequestSerializer(data=request.query_params)
        form.is_valid(raise_exception=True)
        own, known = quota_of(request.user), request.user.is_authenticated
        told = {
            "tracks": own.tracks if known else None,
            "bytes": own.size_bytes if known else None,
            "max_tracks": own.max_tracks or None,
            "max_bytes": own.max_bytes or None,
            "message": told_quota(request.user),
            "refusal": refused_quota(request.user, form.validated_data["bytes"]),
        }
        return Response(faces.QuotaSerializer(told).data)
