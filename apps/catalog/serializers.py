"""The API's face of the catalogue."""

from typing import Any

from django.apps import apps
from django.contrib.auth.models import Group
from django.db.models import Model, QuerySet
from django.urls import reverse
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.access.authentication import has_scope
from apps.access.models import Scope
from apps.catalog.models import MAX_NAME, Collection, Kind, Tag, Track
from apps.catalog.notices import notices_of
from apps.catalog.selectors import serving_analysis, visible_collections, visible_speakers
from apps.catalog.services.collections import save_collection
from apps.catalog.words import nfc
from apps.jobs.models import State


class TrackAnalysisSerializer(serializers.Serializer):
    """How far a track is analysed for one space."""

    space = serializers.CharField(source="space.name")
    state = serializers.ChoiceField(State.choices)
    reason = serializers.CharField(help_text="Why it failed, or waits")
    windows = serializers.IntegerField(help_text="Vectors or landmarks of it in the index")


class AutoTagSerializer(serializers.Serializer):
    name = serializers.CharField()
    probability = serializers.FloatField()


class NoticeSerializer(serializers.Serializer):
    """What is to be said of a track, such as that it is a duplicate."""

    kind = serializers.CharField(help_text="duplicate")
    text = serializers.CharField()
    track = serializers.IntegerField(help_text="The other track that it tells of")


class TrackSerializer(serializers.ModelSerializer):
    """A track as it is read."""

    collection = serializers.IntegerField(source="collection_id", allow_null=True)
    collection_name = serializers.CharField(source="collection.name", default="")
    audience = serializers.CharField(
        source="audience.name",
        default=None,
        allow_null=True,
        help_text="The group that its collection is private to",
    )
    speaker = serializers.SerializerMethodField(
        help_text="Of whom one may know; a token needs the scope “voices” to read it"
    )
    enrolment_of = serializers.SerializerMethodField(
        help_text=(
            "The speaker whom it was added to enrol, so that searches by sound leave it out unless "
            "asked; told as `speaker` is"
        )
    )
    tags: Any = serializers.SlugRelatedField("name", many=True, read_only=True)
    auto_tags = AutoTagSerializer(many=True)
    added_by = serializers.CharField(source="added_by.username", default=None, allow_null=True)
    state = serializers.SerializerMethodField()
    reason = serializers.SerializerMethodField()
    spaces = TrackAnalysisSerializer(source="analyses", many=True)
    audio = serializers.SerializerMethodField()
    notices = serializers.SerializerMethodField(help_text="Of tracks that one may know of")

    class Meta:
        model = Track
        fields = [
            "id",
            "title",
            "artist",
            "album",
            "description",
            "kind",
            "collection",
            "collection_name",
            "audience",
            "tags",
            "auto_tags",
            "speaker",
            "enrolment_of",
            "state",
            "reason",
            "spaces",
            "duration_ms",
            "sample_rate",
            "channels",
            "format",
            "size_bytes",
            "stream",
            "sha256",
            "original_name",
            "audio",
            "notices",
            "added_by",
            "added_at",
            "updated_at",
        ]
        read_only_fields = fields

    @extend_schema_field(serializers.ChoiceField(State.choices))
    def get_state(self, track: Track) -> str:
        analysis = serving_analysis(track)
        return analysis.state if analysis else State.QUEUED

    def get_reason(self, track: Track) -> str:
        analysis = serving_analysis(track)
        return analysis.reason if analysis else ""

    def get_speaker(self, track: Track) -> int | None:
        allowed = has_scope(self.context["request"], Scope.VOICES)
        speaker: int | None = track.known_speaker if allowed else None  # type: ignore[attr-defined]
        return speaker

    def get_enrolment_of(self, track: Track) -> int | None:
        allowed = has_scope(self.context["request"], Scope.VOICES)
        speaker: int | None = track.enrolment_of if allowed else None  # type: ignore[attr-defined]
        return speaker

    def get_audio(self, track: Track) -> str:
        return reverse("api-track-audio", args=[track.pk])

    @extend_schema_field(NoticeSerializer(many=True))
    def get_notices(self, track: Track) -> Any:
        context: Any = self.context
        if "notices" not in context:  # for all of a page at once
            shown: Any = self.parent.instance if self.parent else [self.instance]
            user = context["request"].user
            context["notices"] = notices_of([one.pk for one in shown], user)
        return NoticeSerializer(context["notices"].get(track.pk, []), many=True).data


class TagList(serializers.ListField):
    """Tags as a JSON list, or in a form as repeated fields or one comma-separated field."""

    child = serializers.CharField(max_length=100)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"max_length": 1000, **kwargs})

    def to_internal_value(self, data: Any) -> list[str]:
        if isinstance(data, list):
            parts = [item.split(",") if isinstance(item, str) else [item] for item in data]
            data = [part for items in parts for part in items if part != ""]
        words: list[str] = super().to_internal_value(data)
        return words


class SeenCollection(serializers.PrimaryKeyRelatedField):
    """A collection that the user sees; any other does not exist."""

    def get_queryset(self) -> QuerySet[Collection]:
        return visible_collections(self.context["request"].user)


class TrackFieldsSerializer(serializers.Serializer):
    """What a person may set on a track."""

    title = serializers.CharField(max_length=300, required=False)
    artist = serializers.CharField(max_length=300, required=False, allow_blank=True)
    album = serializers.CharField(max_length=300, required=False, allow_blank=True)
    description = serializers.CharField(max_length=20000, required=False, allow_blank=True)
    kind = serializers.ChoiceField(Kind.choices, required=False)
    collection = SeenCollection(queryset=Collection.objects.all(), required=False, allow_null=True)
    tags = TagList(required=False)


class TrackCreateSerializer(TrackFieldsSerializer):
    file = serializers.FileField(help_text="The audio file", allow_empty_file=True)
    stream = serializers.CharField(
        max_length=40,
        required=False,
        allow_blank=True,
        help_text=(
            "Of a file of several sound tracks, the one to be heard: its number from 0, or its "
            "language as the file has it (“eng”); left out: the default one, or the first that is "
            "not silent"
        ),
    )


def _speaker_model() -> type[Model]:
    """That of the voices, which are above the catalogue."""
    return apps.get_model("voices", "Speaker")


class SeenSpeaker(serializers.PrimaryKeyRelatedField):
    """A speaker that the user may know of; any other does not exist."""

    def get_queryset(self) -> QuerySet[Any]:
        return visible_speakers(self.context["request"].user)


class TrackPatchSerializer(TrackFieldsSerializer):
    speaker = SeenSpeaker(
        queryset=_speaker_model()._default_manager.all(), required=False, allow_null=True
    )


class PeaksSerializer(serializers.Serializer):
    peaks = serializers.ListField(
        child=serializers.IntegerField(min_value=0, max_value=255),
        help_text="Up to 1,000 absolute peaks over the whole recording; empty until listened to",
    )
    duration_ms = serializers.IntegerField()


class QuotaRequestSerializer(serializers.Serializer):
    bytes = serializers.IntegerField(
        default=1, min_value=0, max_value=2**53, help_text="Size of a file that is to be added"
    )


class QuotaSerializer(serializers.Serializer):
    """What one has added, and how much one may."""

    tracks = serializers.IntegerField(allow_null=True, help_text="null: who asks has no account")
    bytes = serializers.IntegerField(allow_null=True)
    max_tracks = serializers.IntegerField(allow_null=True, help_text="null: no limit of one's own")
    max_bytes = serializers.IntegerField(allow_null=True)
    message = serializers.CharField(help_text="The same in words; empty where nothing is limited")
    refusal = serializers.CharField(help_text="Why the file would be refused; empty: there is room")


class CollectionSerializer(serializers.ModelSerializer):
    tracks = serializers.IntegerField(read_only=True, source="track_count", default=0)
    audience = serializers.SlugRelatedField(
        "name",
        queryset=Group.objects.all(),
        required=False,
        allow_null=True,
        help_text="The group it is private to; null: everybody who may search",
    )

    class Meta:
        model = Collection
        fields = ["id", "name", "description", "audience", "tracks", "created_at"]
        read_only_fields = ["created_at"]
        validators: list[Any] = []  # name and audience are looked at together, below

    def validate_name(self, value: str) -> str:
        return nfc(value, MAX_NAME)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        name, audience = (
            attrs.get(field, getattr(self.instance, field, None)) for field in ("name", "audience")
        )
        others = Collection.objects.filter(name=name, audience=audience)
        if self.instance:
            others = others.exclude(pk=self.instance.pk)
        if others.exists():
            raise serializers.ValidationError({"name": "There is a collection of this name."})
        return attrs

    def create(self, validated_data: dict[str, Any]) -> Collection:
        return self.update(Collection(), validated_data)

    def update(self, instance: Collection, validated_data: dict[str, Any]) -> Collection:
        for field, value in validated_data.items():
            setattr(instance, field, value)
        save_collection(instance, validated_data, by=self.context["request"].user)
        return instance


class TagSerializer(serializers.ModelSerializer):
    tracks = serializers.IntegerField(source="track_count")

    class Meta:
        model = Tag
        fields = ["name", "tracks"]
