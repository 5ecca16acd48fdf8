"""The API's face of the search: what may be asked, and what is answered."""

from typing import Any

from rest_framework import serializers

from apps.analysis.answers import VERDICTS
from apps.catalog.models import Kind
from apps.catalog.serializers import TagList
from apps.catalog.services.tags import clean_tags
from apps.search.answerers import DEFAULT, answer_names
from apps.search.results import SearchSettings

MAX_INTEGER = 2**63 - 1
ALL = "all"
ANSWERS_HELP = f"What is asked of the sound; {DEFAULT} when left out, and `{ALL}` is everything"


class IntegerList(serializers.ListField):
    child = serializers.IntegerField(min_value=1, max_value=MAX_INTEGER)


class KindList(serializers.ListField):
    child = serializers.ChoiceField(Kind.choices)


class AnswerList(serializers.ListField):
    """Names of answers as a JSON list or one text, repeated or comma-separated; `all` is each."""

    def __init__(self, **kwargs: Any) -> None:
        child = serializers.ChoiceField([*answer_names(), ALL])
        super().__init__(**{"child": child, "max_length": 100, **kwargs})

    def to_internal_value(self, data: Any) -> list[str]:
        items = data if isinstance(data, list) else [data]
        parts = [item.split(",") if isinstance(item, str) else [item] for item in items]
        given = [part.strip() if isinstance(part, str) else part for each in parts for part in each]
        names: list[str] = super().to_internal_value([part for part in given if part != ""])
        return answer_names() if ALL in names else names or [DEFAULT]


def _as_recorded() -> serializers.BooleanField:
    told = "Recognise a recording only at its own speed and pitch, which takes a tenth of the time"
    return serializers.BooleanField(default=False, help_text=told)


class SearchSettingsSerializer(serializers.Serializer):
    """top_k, a stretch of the query, and filters that are combined with "and"."""

    top_k = serializers.IntegerField(min_value=1, max_value=100, default=10)
    start_ms = serializers.IntegerField(min_value=0, max_value=MAX_INTEGER, required=False)
    end_ms = serializers.IntegerField(min_value=1, max_value=MAX_INTEGER, required=False)
    collection = IntegerList(required=False, max_length=1000, help_text="Any of these collections")
    tags = TagList(required=False, help_text="All of these tags")
    kind = KindList(required=False, max_length=10, help_text="Any of these kinds")
    min_duration_ms = serializers.IntegerField(min_value=0, max_value=MAX_INTEGER, required=False)
    max_duration_ms = serializers.IntegerField(min_value=0, max_value=MAX_INTEGER, required=False)
    added_from = serializers.DateTimeField(required=False)
    added_to = serializers.DateTimeField(required=False)
    include_enrolments = serializers.BooleanField(
        default=False,
        help_text="Find recordings, too, that were added to enrol a speaker; else left out",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        start_ms, end_ms = attrs.get("start_ms", 0), attrs.get("end_ms")
        if end_ms is not None and end_ms <= start_ms:
            raise serializers.ValidationError({"end_ms": "It must be greater than start_ms."})
        return attrs

    def settings(self) -> SearchSettings:
        """The validated values as the services take them."""
        values = dict(self.validated_data)
        for name in ("file", "track", "stream", "answers"):
            values.pop(name, None)
        collections, kinds = values.pop("collection", ()), values.pop("kind", ())
        tags = tuple(clean_tags(values.pop("tags", ())))
        return SearchSettings(
            collections=tuple(collections), kinds=tuple(kinds), tags=tags, **values
        )


class SearchRequestSerializer(SearchSettingsSerializer):
    """Either `file` (multipart) or `track` (an id), never both."""

    file = serializers.FileField(required=False, allow_empty_file=True)
    track = serializers.IntegerField(min_value=1, max_value=MAX_INTEGER, required=False)
    stream = serializers.CharField(max_length=40, required=False)
    answers = AnswerList(default=lambda: [DEFAULT])
    as_recorded = _as_recorded()

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("file" in attrs) == ("track" in attrs):
            raise serializers.ValidationError("Send either a file or a track, and not both.")
        if "stream" in attrs and "track" in attrs:
            raise serializers.ValidationError({"stream": "It was chosen when the track was added."})
        return super().validate(attrs)


class SearchByTrackSerializer(SearchSettingsSerializer):
    track = serializers.IntegerField(min_value=1, max_value=MAX_INTEGER)
    answers = AnswerList(required=False, help_text=ANSWERS_HELP)
    as_recorded = _as_recorded()


class SearchByClipSerializer(SearchSettingsSerializer):
    file = serializers.FileField()
    stream = serializers.CharField(
        max_length=40, required=False, help_text="Which sound track of the file, as when adding one"
    )
    answers = AnswerList(required=False, help_text=ANSWERS_HELP)
    as_recorded = _as_recorded()


class HitTrackSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    title = serializers.CharField()
    artist = serializers.CharField()
    album = serializers.CharField()
    kind = serializers.CharField()
    collection = serializers.CharField(help_text="Name of the collection, or empty")
    tags = serializers.ListField(child=serializers.CharField())
    auto_tags = serializers.ListField(child=serializers.CharField())
    duration_ms = serializers.IntegerField()
    format = serializers.CharField()
    audio = serializers.CharField(help_text="Address of the audio")


class HitSerializer(serializers.Serializer):
    track = HitTrackSerializer()
    distance = serializers.FloatField(help_text="Cosine distance: 0 same, 2 opposite")
    similarity = serializers.FloatField(help_text="Percent")
    start_ms = serializers.IntegerField(help_text="Where the moment that matched begins")
    end_ms = serializers.IntegerField()


class TookSerializer(serializers.Serializer):
    decode = serializers.FloatField()
    encode = serializers.FloatField()
    index = serializers.FloatField()
    total = serializers.FloatField()


class FilterStepSerializer(serializers.Serializer):
    filter = serializers.CharField()
    leaves = serializers.IntegerField(help_text="Tracks left after this and the filters before it")
    takes = serializers.IntegerField()
    alone = serializers.IntegerField(help_text="Tracks this filter would leave by itself")


class ExplanationSerializer(serializers.Serializer):
    searchable = serializers.IntegerField()
    filters = FilterStepSerializer(many=True)
    message = serializers.CharField()


class SearchResultSerializer(serializers.Serializer):
    query = serializers.DictField()
    hits = HitSerializer(many=True)
    explanation = ExplanationSerializer(
        allow_null=True, help_text="Only when nothing was found: which filter took what away"
    )
    took_ms = TookSerializer()


class AnswerHitSerializer(serializers.Serializer):
    track = HitTrackSerializer(allow_null=True, help_text="None where the hit is a speaker")
    probability = serializers.FloatField(
        allow_null=True, help_text="Calibrated, 0 to 1; null where only nearness is known"
    )
    start_ms = serializers.IntegerField(allow_null=True, help_text="The moment in the track")
    end_ms = serializers.IntegerField(allow_null=True)
    query_start_ms = serializers.IntegerField(
        allow_null=True, help_text="The moment in the file that was asked with"
    )
    query_end_ms = serializers.IntegerField(allow_null=True)
    speed = serializers.FloatField(allow_null=True, help_text="1: as fast as the track")
    evidence = serializers.DictField(help_text="What the answer rests on, by the kind of answer")


class AnswerSerializer(serializers.Serializer):
    verdict = serializers.ChoiceField(VERDICTS)
    reason = serializers.CharField(help_text="Why it is so, in a sentence; or empty")
    hits = AnswerHitSerializer(many=True)
    took_ms = serializers.FloatField()


class AnsweredSearchSerializer(SearchResultSerializer):
    """`hits` and `explanation` are those of `sounds_alike`."""

    answers = serializers.DictField(child=AnswerSerializer(), help_text="By the name of each")
