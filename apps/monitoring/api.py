"""The REST API of the scans."""

from pathlib import Path
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import mixins, status, viewsets
from rest_framework.decorators import action
from rest_framework.parsers import FormParser, MultiPartParser
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from apps.access.models import Scope
from apps.access.throttles import SearchThrottle
from apps.access.uploads import takes_files
from apps.jobs.models import State
from apps.monitoring import serializers as faces
from apps.monitoring.formats import FORMATS, as_json
from apps.monitoring.models import Scan
from apps.monitoring.permissions import MayScan, may_scan
from apps.monitoring.play_logs import play_log_of
from apps.monitoring.renderers import CsvRenderer, CueRenderer
from apps.monitoring.services import delete_scan, refuse_too_many, request_scan, scans_of
from apps.search.api import flat
from audiosearch.engine.audio.choice import with_stream
from audiosearch.engine.errors import Conflict


@extend_schema_view(
    list=extend_schema(summary="My scans, newest first", filters=False),
    retrieve=extend_schema(summary="One of my scans, and how far it is"),
    destroy=extend_schema(summary="Cancel a scan, or forget it"),
)
@extend_schema(tags=["scans"])
class ScanViewSet(
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    mixins.DestroyModelMixin,
    viewsets.GenericViewSet,
):
    """Long recordings compared with the catalogue; each is known to who asked for it alone."""

    token_scope = Scope.READ
    queryset = Scan.objects.none()
    serializer_class = faces.ScanSerializer
    permission_classes = [MayScan]
    throttle_classes = [SearchThrottle]
    parser_classes = [MultiPartParser, FormParser]
    lookup_value_converter = "uuid"

    def get_queryset(self) -> QuerySet[Scan]:
        return scans_of(self.request.user)

    def get_throttles(self) -> list[Any]:
        """A scan is counted as a search; to cancel one, or to look how far it is, is free."""
        return super().get_throttles() if self.action == "create" else []

    def perform_destroy(self, scan: Scan) -> None:
        delete_scan(scan=scan)

    @takes_files(may_scan, refuse_too_many)
    @extend_schema(
        summary="Scan a long recording",
        description=(
            "What of the catalogue was played in it, when, and from where in each track. The work "
            "is done by a worker: 202, and the address in `Location` tells how far it is. The file "
            "is kept until the scan ends."
        ),
        request={"multipart/form-data": faces.ScanRequestSerializer},
        responses={202: faces.ScanSerializer},
    )
    def create(self, request: Request) -> Response:
        form = faces.ScanRequestSerializer(data=flat(request.data))
        form.is_valid(raise_exception=True)
        upload = form.validated_data["file"]
        scan = request_scan(
            source=with_stream(
                Path(upload.temporary_file_path()), form.validated_data.get("stream")
            ),
            name=upload.name,
            asked=form.settings(),
            by=request.user,
        )
        headers = {"Location": self.reverse_action("detail", args=[scan.pk])}
        return Response(self.get_serializer(scan).data, status.HTTP_202_ACCEPTED, headers=headers)

    @extend_schema(
        summary="The play log of a scan",
        description=(
            "As far as the reader may know of the tracks now; 409 until the scan is ready. "
            "`?format=csv` gives a table, `?format=cue` a cue sheet."
        ),
        parameters=[OpenApiParameter("format", enum=["json", *FORMATS])],
        responses=faces.PlayLogSerializer,
        filters=False,
    )
    @action(
        detail=True,
        url_path="play-log",
        pagination_class=None,
        renderer_classes=[JSONRenderer, CsvRenderer, CueRenderer],
    )
    def play_log(self, request: Request, pk: Any) -> Response:
        scan = self.get_object()
        if scan.state != State.READY:
            raise Conflict(scan.reason or "The recording is still being scanned.")
        log = play_log_of(scan.duration_ms, scan.plays, request.user)
        kind = request.accepted_renderer.format
        if kind == "json":
            return Response(faces.PlayLogSerializer(as_json(scan.name, log)).data)
        headers = {"Content-Disposition": f'attachment; filename="play-log.{kind}"'}
        return Response(FORMATS[kind][1](scan.name, log), headers=headers)
