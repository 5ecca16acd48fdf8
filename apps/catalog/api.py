"""The REST API of the catalogue; thin, the services do the work."""

from pathlib import Path
from typing import Any

import django_filters
from django.db.models import Count, Q, QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_view
from rest_framework import mixins, status, viewsets
from rest_framework.exceptions import NotFound
from rest_framework.parsers import FormParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from apps.access.permissions import CuratorOrReadOnly, TrackPermission
from apps.catalog import serializers as faces
from apps.catalog.models import Collection, Kind, Space, State, Tag, Track
from apps.catalog.selectors import seen_by, visible_collections, visible_tags, visible_tracks
from apps.catalog.services.adding import TEXT_FIELDS, add_track
from apps.catalog.services.editing import delete_collection, delete_tracks, edit_track
from apps.catalog.streaming import audio_response
from audiosearch.web.parsers import JSONParser


def _offered_collections(request: Any) -> QuerySet[Collection]:
    return visible_collections(request.user)


class TrackFilter(django_filters.FilterSet):
    q = django_filters.CharFilter(method="words", label="Words in title, artist, album, tags …")
    collection = django_filters.ModelChoiceFilter(queryset=_offered_collections)
    tag = django_filters.CharFilter("tags__name", "iexact", label="One tag")
    kind = django_filters.ChoiceFilter(choices=Kind.choices)
    state = django_filters.ChoiceFilter(choices=State.choices, method="in_state")
    added_from = django_filters.IsoDateTimeFilter("added_at", "gte")
    added_to = django_filters.IsoDateTimeFilter("added_at", "lte")
    sha256 = django_filters.CharFilter("sha256", "iexact")
    ordering = django_filters.OrderingFilter(
        fields=[("added_at", "added_at"), ("title", "title"), ("duration_ms", "duration_ms")]
    )

    class Meta:
        model = Track
        fields = ["kind"]

    def words(self, tracks: QuerySet[Track], name: str, value: str) -> QuerySet[Track]:
        return with_words(tracks, value)

    def in_state(self, tracks: QuerySet[Track], name: str, value: str) -> QuerySet[Track]:
        return tracks.filter(listenings__space__is_default=True, listenings__state=value)


def with_words(tracks: QuerySet[Track], text: str) -> QuerySet[Track]:
    """The tracks in whose texts or tags each of the words is found."""
    for word in text.replace("\x00", "").split()[:10]:
        by_text = Q(original_name__icontains=word)
        for field in TEXT_FIELDS:
            by_text |= Q(**{f"{field}__icontains": word})
        tagged = Track.tags.through.objects.filter(tag__name__icontains=word)
        tracks = tracks.filter(by_text | Q(pk__in=tagged.values("track_id")))
    return tracks


def listed_tracks(user: Any) -> QuerySet[Track]:
    """What this user sees, with all that a list shows, in a fixed number of queries."""
    tracks = visible_tracks(user).select_related("collection__audience", "audience", "added_by")
    return tracks.prefetch_related("tags", "listenings__space")


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
    filterset_class = TrackFilter
    lookup_value_regex = r"\d+"

    def get_queryset(self) -> QuerySet[Track]:
        return listed_tracks(self.request.user)

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
        description="Answers range requests.",
        responses={(200, "audio/*"): OpenApiTypes.BINARY, (206, "audio/*"): OpenApiTypes.BINARY},
    )
    def audio(self, request: Request, pk: str) -> Any:
        track = self.get_object()
        download_as = track.original_name if "download" in request.query_params else ""
        try:
            return audio_response(request, track.file.name, download_as)
        except FileNotFoundError as error:
            raise NotFound("The file of this track is gone from the storage.") from error

    @extend_schema(summary="The waveform", responses=faces.PeaksSerializer)
    def peaks(self, request: Request, pk: str) -> Response:
        track = self.get_object()
        return Response({"peaks": list(bytes(track.peaks)), "duration_ms": track.duration_ms})

    def _answer(self, track: Track, code: int = status.HTTP_200_OK) -> Response:
        listed = listed_tracks(None).get(pk=track.pk)
        return Response(faces.TrackSerializer(listed).data, code)


class CollectionViewSet(viewsets.ModelViewSet):
    """The groupings of tracks; deleting one keeps its tracks."""

    queryset = Collection.objects.none()
    serializer_class = faces.CollectionSerializer
    permission_classes = [CuratorOrReadOnly]
    http_method_names = ["get", "post", "patch", "delete"]

    def get_queryset(self) -> QuerySet[Collection]:
        counted = visible_collections(self.request.user).annotate(track_count=Count("tracks"))
        return counted.order_by("name", "pk")

    def perform_destroy(self, collection: Collection) -> None:
        delete_collection(collection)


class TagViewSet(mixins.ListModelMixin, viewsets.GenericViewSet):
    """The free tags in use, with the number of tracks that carry each."""

    queryset = Tag.objects.none()
    serializer_class = faces.TagSerializer

    def get_queryset(self) -> QuerySet[Tag]:
        user = self.request.user
        counted = Count("tracks", filter=seen_by(user, "tracks__"), distinct=True)
        return visible_tags(user).annotate(track_count=counted).order_by("name")


class SpaceViewSet(mixins.ListModelMixin, viewsets.GenericViewSet):
    """The spaces, which encoder fills each, and how far each is."""

    queryset = Space.objects.all()
    serializer_class = faces.SpaceSerializer
