"""The API's face of the voices. Vectors are in none of them."""

from typing import Any

from django.db.models import QuerySet
from rest_framework import serializers

from apps.access.permissions import may_curate
from apps.catalog.models import Collection, Track
from apps.catalog.selectors import visible_tracks
from apps.catalog.serializers import SeenCollection, SeenSpeaker, TagList
from apps.catalog.services.tags import clean_tags
from apps.jobs.models import State
from apps.voices.erasing import Recordings
from apps.voices.models import Enrolment, Speaker
from apps.voices.permissions import GROUPS_ARE_FOR_CURATORS
from apps.voices.recognition import Candidate, Identification, Verdict
from apps.voices.speakers import save_speaker

FOR_CURATORS: dict[str, Any] = {
    "external_id": None,
    "groups": [],
    "notes": "",
    "consent_by": "",
    "consent_on": None,
    "consent_until": None,
}
"""What members are not told of a speaker, as they read it."""


class SpeakerSerializer(serializers.ModelSerializer):
    """A speaker, the consent on record, and by how many recordings the voice is known.

    Members read the name and the counts alone; all else is empty for them.
    """

    groups = TagList(required=False)
    enrolments = serializers.IntegerField(source="enrolment_count", read_only=True, default=0)
    tracks = serializers.IntegerField(source="track_count", read_only=True, default=0)

    class Meta:
        model = Speaker
        fields = [
            "id",
            "name",
            "external_id",
            "groups",
            "notes",
            "consent_by",
            "consent_on",
            "consent_until",
            "enrolments",
            "tracks",
            "created_at",
        ]
        read_only_fields = ["created_at"]

    def to_representation(self, instance: Speaker) -> dict[str, Any]:
        told = super().to_representation(instance)
        return told if may_curate(self.context["request"].user) else told | FOR_CURATORS

    def create(self, validated_data: dict[str, Any]) -> Speaker:
        return self.update(Speaker(), validated_data)

    def update(self, instance: Speaker, validated_data: dict[str, Any]) -> Speaker:
        for field, value in validated_data.items():
            setattr(instance, field, value)
        by = self.context["request"].user
        save_speaker(speaker=instance, changed=validated_data, by=by)
        return instance

    def validate_groups(self, groups: list[str]) -> list[str]:
        return clean_tags(groups)

    def validate_external_id(self, value: str | None) -> str | None:
        return value or None

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        begin, end = (
            attrs.get(name, getattr(self.instance, name, None))
            for name in ("consent_on", "consent_until")
        )
        if begin and end and end < begin:
            raise serializers.ValidationError({"consent_until": "It is before consent_on."})
        return attrs


class EraseSerializer(serializers.Serializer):
    """What becomes of an erased speaker's recordings."""

    recordings = serializers.ChoiceField(Recordings.choices, default=Recordings.DELETE)


class EnrolmentSerializer(serializers.ModelSerializer):
    """One recording a speaker is known by."""

    space = serializers.CharField(source="space.name")
    speech_ms = serializers.IntegerField(source="net_ms")

    class Meta:
        model = Enrolment
        fields = ["id", "track", "space", "speech_ms", "snr_db", "enrolled_at"]


class EnrolSerializer(serializers.Serializer):
    file = serializers.FileField(
        allow_empty_file=True, help_text="One person speaking, 3 s or more"
    )
    collection = SeenCollection(
        queryset=Collection.objects.all(),
        required=False,
        allow_null=True,
        help_text=(
            "Who may know of it may know of the speaker; empty: everybody; left out: everybody, or "
            "if all recordings of the speaker are private, the collection of the newest"
        ),
    )


class CandidateSerializer(serializers.Serializer):
    speaker = serializers.IntegerField(source="speaker.pk")
    name = serializers.CharField(source="speaker.name")
    external_id = serializers.CharField(source="speaker.external_id", allow_null=True)
    score = serializers.FloatField(help_text="Of the best recording; higher is nearer")
    probability = serializers.FloatField(help_text="As if both answers were as likely before")

    def to_representation(self, instance: Candidate) -> dict[str, Any]:
        told = _rounded(super().to_representation(instance))
        return told if may_curate(self.context["request"].user) else told | {"external_id": None}


class EnrolledSerializer(serializers.Serializer):
    enrolment = EnrolmentSerializer()
    sounds_like = CandidateSerializer(many=True, help_text="Other speakers it could be as well")


class VerifySerializer(serializers.Serializer):
    """A clip and either a speaker or another clip."""

    file = serializers.FileField(allow_empty_file=True)
    speaker = SeenSpeaker(queryset=Speaker.objects.all(), required=False)
    other = serializers.FileField(allow_empty_file=True, required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("speaker" in attrs) == ("other" in attrs):
            raise serializers.ValidationError("Send either a speaker or an other file, not both.")
        return attrs


class VerdictSerializer(serializers.Serializer):
    same = serializers.BooleanField()
    score = serializers.FloatField(help_text="Standard deviations above what strangers score")
    threshold = serializers.FloatField(help_text="For as much speech as the shorter side has")
    margin = serializers.FloatField()
    probability = serializers.FloatField()
    far = serializers.FloatField(help_text="Share of different voices accepted at the threshold")
    frr = serializers.FloatField(help_text="Share of same voices refused at the threshold")
    speech_ms = serializers.IntegerField()
    measured_on = serializers.CharField(source="source", help_text="Data of the threshold")

    def to_representation(self, instance: Verdict) -> dict[str, Any]:
        return _rounded(super().to_representation(instance))


class IdentifySerializer(serializers.Serializer):
    file = serializers.FileField(allow_empty_file=True)
    group = serializers.CharField(
        required=False,
        allow_blank=True,
        max_length=100,
        help_text="Only speakers in this group; for curators",
    )
    top_k = serializers.IntegerField(min_value=1, max_value=50, default=5)

    def validate_group(self, group: str) -> str:
        name = (clean_tags([group]) or [""])[0]
        if name and not may_curate(self.context["request"].user):
            raise serializers.ValidationError(GROUPS_ARE_FOR_CURATORS)
        return name


class IdentificationSerializer(serializers.Serializer):
    speaker = serializers.IntegerField(source="speaker.pk", allow_null=True, default=None)
    name = serializers.CharField(source="speaker.name", default="")
    reason = serializers.CharField(help_text="Why it is nobody; empty when it is somebody")
    threshold = serializers.FloatField()
    candidates = CandidateSerializer(many=True)
    speech_ms = serializers.IntegerField()
    measured_on = serializers.CharField(source="source")

    def to_representation(self, instance: Identification) -> dict[str, Any]:
        return _rounded(super().to_representation(instance))


class SeenTrack(serializers.PrimaryKeyRelatedField):
    """A track that the user sees; any other does not exist."""

    def get_queryset(self) -> QuerySet[Track]:
        return visible_tracks(self.context["request"].user)


class DiarizeSerializer(serializers.Serializer):
    """A clip of at most ten minutes, or a track of the catalogue."""

    file = serializers.FileField(allow_empty_file=True, required=False)
    track = SeenTrack(queryset=Track.objects.all(), required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("file" in attrs) == ("track" in attrs):
            raise serializers.ValidationError("Send either a file or a track, not both.")
        return attrs


class TurnSerializer(serializers.Serializer):
    start_ms = serializers.IntegerField()
    end_ms = serializers.IntegerField()
    voice = serializers.IntegerField(help_text="Number of the voice, by who speaks first")
    speaker = serializers.IntegerField(source="speaker.pk", allow_null=True, default=None)
    name = serializers.CharField(help_text="The speaker's, or unknown 1, unknown 2 …")


class DiarizationSerializer(serializers.Serializer):
    """Who speaks when; turns are complete once the state is ready."""

    track = serializers.IntegerField(allow_null=True)
    state = serializers.ChoiceField(State.choices)
    reason = serializers.CharField(help_text="Why it failed, or waits")
    heard_ms = serializers.IntegerField(help_text="How far the work has come")
    turns = TurnSerializer(many=True)


def _rounded(data: dict[str, Any]) -> dict[str, Any]:
    return {
        key: round(value, 4) if isinstance(value, float) else value for key, value in data.items()
    }
