"""The REST API of the voices."""

from pathlib import Path
from typing import Any

from django.db.models import Count, QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import status, viewsets
from rest_framework.decorators import action
from rest_framework.generics import get_object_or_404
from rest_framework.parsers import FormParser, MultiPartParser
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from apps.access.models import Scope
from apps.access.permissions import may_curate
from apps.access.throttles import SearchThrottle
from apps.access.uploads import takes_files
from apps.catalog.quotas import refuse_upload
from apps.catalog.selectors import seen_by, visible_speakers, visible_tracks
from apps.jobs.models import State
from apps.voices import serializers as faces
from apps.voices.diarizing import SpokenTurn, diarize_clip, request_diarization, turns_of
from apps.voices.embedding import Voice, embed_voice
from apps.voices.enrolling import enrol, usual_collection
from apps.voices.erasing import Recordings, erase_speaker, unenrol
from apps.voices.models import Diarization, Enrolment, Speaker
from apps.voices.permissions import MayRecognise, SpeakerPermission, may_recognise
from apps.voices.recognition import identify, verify_speaker, verify_voices
from apps.voices.rttm import RttmRenderer
from audiosearch.web.parsers import JSONParser

RECOGNISING: dict[str, Any] = {
    "permission_classes": [MayRecognise],
    "throttle_classes": [SearchThrottle],
}
ENROLMENT = OpenApiParameter("enrolment_id", int, OpenApiParameter.PATH)


@extend_schema_view(
    list=extend_schema(summary="List speakers"),
    create=extend_schema(summary="Add a speaker"),
    retrieve=extend_schema(summary="One speaker"),
    partial_update=extend_schema(summary="Change a speaker, groups or consent"),
    destroy=extend_schema(
        summary="Erase a speaker",
        description=(
            "Name, vectors and the enrolled recordings, wherever the same bytes are once more, are "
            "deleted; `recordings=keep` keeps them as ordinary recordings, without name and "
            "vectors. The audit log keeps the number."
        ),
        parameters=[
            OpenApiParameter("recordings", enum=Recordings.values, default=Recordings.DELETE.value)
        ],
    ),
)
class SpeakerViewSet(viewsets.ModelViewSet):
    """The people whose voices are known: read by members, kept by staff."""

    token_scope = Scope.VOICES
    queryset = Speaker.objects.all()
    serializer_class = faces.SpeakerSerializer
    permission_classes = [SpeakerPermission]
    parser_classes = [JSONParser, MultiPartParser, FormParser]
    http_method_names = ["get", "post", "patch", "delete"]

    def get_queryset(self) -> QuerySet[Speaker]:
        user = self.request.user
        tracks, enrolled = seen_by(user, "tracks__"), seen_by(user, "enrolments__track__")
        return (
            visible_speakers(user)
            .annotate(
                track_count=Count("tracks", filter=tracks, distinct=True),
                enrolment_count=Count("enrolments__track", filter=enrolled, distinct=True),
            )
            .order_by("sort_key", "name", "pk")
        )

    def perform_destroy(self, speaker: Speaker) -> None:
        form = faces.EraseSerializer(data=self.request.query_params)
        form.is_valid(raise_exception=True)
        asked = form.validated_data["recordings"]
        erase_speaker(speaker=speaker, by=self.request.user, recordings=asked)

    @takes_files(may_curate, refuse_upload)
    @extend_schema(
        methods=["GET"],
        summary="The recordings a speaker is known by",
        responses=faces.EnrolmentSerializer(many=True),
        filters=False,
    )
    @extend_schema(
        methods=["POST"],
        summary="Enrol a speaker by one more recording",
        description=(
            "Needs consent on record. A recording that is too short, noisy, clipped or of several "
            "people is refused with what to record instead; `sounds_like` names other speakers "
            "who could have said it."
        ),
        request={"multipart/form-data": faces.EnrolSerializer},
        responses={201: faces.EnrolledSerializer},
    )
    @action(detail=True, methods=["get", "post"], pagination_class=None)
    def enrolments(self, request: Request, pk: str) -> Response:
        speaker = self.get_object()
        if request.method == "GET":
            rows = speaker.enrolments.filter(seen_by(request.user, "track__")).select_related(
                "space"
            )
            return Response(faces.EnrolmentSerializer(rows, many=True).data)
        form = faces.EnrolSerializer(data=request.data, context={"request": request})
        form.is_valid(raise_exception=True)
        asked = form.validated_data
        found = enrol(
            speaker=speaker,
            source=Path(asked["file"].temporary_file_path()),
            name=asked["file"].name,
            by=request.user,
            collection=asked["collection"] if "collection" in asked else usual_collection(speaker),
        )
        answer = faces.EnrolledSerializer(found, context={"request": request})
        return Response(answer.data, status.HTTP_201_CREATED)

    @extend_schema(
        summary="Forget one recording of a speaker", parameters=[ENROLMENT], responses={204: None}
    )
    @action(
        detail=True,
        methods=["delete"],
        url_path=r"enrolments/(?P<enrolment_id>[0-9]{1,18})",
        url_name="enrolment",
    )
    def enrolment(self, request: Request, pk: str, enrolment_id: str) -> Response:
        row = get_object_or_404(Enrolment, pk=enrolment_id, speaker=self.get_object())
        unenrol(enrolment=row, by=request.user)
        return Response(status=status.HTTP_204_NO_CONTENT)

    @takes_files(may_recognise)
    @extend_schema(
        summary="Verify a claim: one voice or two?",
        description="A clip against a speaker, or against another clip.",
        request={"multipart/form-data": faces.VerifySerializer},
        responses=faces.VerdictSerializer,
    )
    @action(detail=False, methods=["post"], **RECOGNISING)
    def verify(self, request: Request) -> Response:
        form = faces.VerifySerializer(data=request.data, context={"request": request})
        form.is_valid(raise_exception=True)
        asked = form.validated_data
        voice = _voice(asked["file"])
        if "speaker" in asked:
            verdict = verify_speaker(voice=voice, speaker=asked["speaker"], by=request.user)
        else:
            verdict = verify_voices(voice=voice, other=_voice(asked["other"]), by=request.user)
        return Response(faces.VerdictSerializer(verdict).data)

    @takes_files(may_recognise)
    @extend_schema(
        summary="Identify a voice among all enrolled",
        description="Somebody only above the threshold for so many speakers; else nobody.",
        request={"multipart/form-data": faces.IdentifySerializer},
        responses=faces.IdentificationSerializer,
    )
    @action(detail=False, methods=["post"], **RECOGNISING)
    def identify(self, request: Request) -> Response:
        form = faces.IdentifySerializer(data=request.data, context={"request": request})
        form.is_valid(raise_exception=True)
        asked = form.validated_data
        found = identify(
            voice=_voice(asked["file"]),
            by=request.user,
            group=asked.get("group", ""),
            top_k=asked["top_k"],
        )
        answer = faces.IdentificationSerializer(found, context={"request": request})
        return Response(answer.data)

    @takes_files(may_recognise)
    @extend_schema(
        methods=["GET"],
        summary="Who speaks when in a track, as far as it is known",
        parameters=[OpenApiParameter("track", int, required=True)],
        responses=faces.DiarizationSerializer,
        filters=False,
    )
    @extend_schema(
        methods=["POST"],
        summary="Find out who speaks when",
        description=(
            "In a clip of up to ten minutes, at once; in a track, by a worker: 202, and the same "
            "address with `?track=` tells how far it is. `?format=rttm` gives RTTM."
        ),
        request={"multipart/form-data": faces.DiarizeSerializer},
        responses={200: faces.DiarizationSerializer, 202: faces.DiarizationSerializer},
    )
    @action(
        detail=False,
        methods=["get", "post"],
        **RECOGNISING,
        renderer_classes=[JSONRenderer, RttmRenderer],
        pagination_class=None,
    )
    def diarize(self, request: Request) -> Response:
        if request.method == "GET":
            pk = request.query_params.get("track", "")
            rows = Diarization.objects.filter(track__in=visible_tracks(request.user))
            row = get_object_or_404(rows, track__pk=pk if pk.isdecimal() else 0)
            return Response(_diarization(row, request.user))
        form = faces.DiarizeSerializer(data=request.data, context={"request": request})
        form.is_valid(raise_exception=True)
        asked = form.validated_data
        if "track" in asked:
            row = request_diarization(track=asked["track"], by=request.user)
            return Response(_diarization(row, request.user), status.HTTP_202_ACCEPTED)
        path = Path(asked["file"].temporary_file_path())
        turns = diarize_clip(path=path, by=request.user)
        heard_ms = max((turn.end_ms for turn in turns), default=0)
        return Response(_face(None, State.READY, "", heard_ms, turns))


def _diarization(row: Diarization, by: Any) -> dict[str, Any]:
    return _face(row.track_id, row.state, row.reason, row.heard_ms, turns_of(row, by))


def _face(
    track: int | None, state: str, reason: str, heard_ms: int, turns: list[SpokenTurn]
) -> dict[str, Any]:
    told = {"track": track, "state": state, "reason": reason, "heard_ms": heard_ms, "turns": turns}
    return dict(faces.DiarizationSerializer(told).data)


def _voice(upload: Any) -> Voice:
    return embed_voice(Path(upload.temporary_file_path()))
