"""The API's face of duplicates."""

from typing import Any

from rest_framework import serializers

from apps.catalog.models import Track
from apps.discovery.clusters import Cluster, may_decide
from apps.discovery.copies import bit_rate, differences
from apps.discovery.models import DuplicatePair, KeptCopy


class CopySerializer(serializers.ModelSerializer):
    """A track as one of several copies; all else is at `/tracks/`."""

    collection = serializers.IntegerField(source="collection_id", allow_null=True)
    tags: Any = serializers.SlugRelatedField("name", many=True, read_only=True)
    bit_rate = serializers.SerializerMethodField(help_text="kbit/s of the file, about")

    class Meta:
        model = Track
        fields = [
            *("id", "title", "artist", "album", "collection", "tags", "format", "bit_rate"),
            *("sample_rate", "channels", "duration_ms", "size_bytes", "added_at"),
        ]
        read_only_fields = fields

    def get_bit_rate(self, track: Track) -> int:
        return bit_rate(track)


class PairSerializer(serializers.ModelSerializer):
    """Two tracks that share a stretch, and what shows it."""

    first = serializers.IntegerField(source="first_id")
    second = serializers.IntegerField(source="second_id")
    offset_ms = serializers.IntegerField(help_text="How much later it is in the second")

    class Meta:
        model = DuplicatePair
        fields = [
            *("first", "second", "share", "aligned", "of", "first_start_ms", "first_end_ms"),
            *("second_start_ms", "second_end_ms", "offset_ms", "speed", "gain_db", "found_at"),
        ]
        read_only_fields = fields


class ProposalSerializer(serializers.Serializer):
    track = serializers.IntegerField(source="track.pk")
    reason = serializers.CharField()


class DifferenceSerializer(serializers.Serializer):
    name = serializers.CharField(source="0")
    values = serializers.ListField(
        source="1", child=serializers.CharField(), help_text="Of each track, in order"
    )


class ClusterSerializer(serializers.Serializer):
    """Tracks that are one recording, or share a stretch of it; the best copy first."""

    id = serializers.IntegerField(help_text="The id of one of its tracks; any of them finds it")
    tracks = CopySerializer(many=True)
    more = serializers.IntegerField(
        help_text="So many others are in it; they are shown once these were decided of"
    )
    pairs = PairSerializer(many=True)
    best = ProposalSerializer()
    differences = serializers.SerializerMethodField()
    may_decide = serializers.SerializerMethodField(help_text="May you edit all of its tracks?")

    def get_differences(self, cluster: Cluster) -> list[dict[str, Any]]:
        return [{"name": name, "values": values} for name, values in differences(cluster.tracks)]

    def get_may_decide(self, cluster: Cluster) -> bool:
        return may_decide(self.context["request"].user, cluster)


class KeepSerializer(serializers.Serializer):
    track = serializers.IntegerField(help_text="The copy to keep")
    retire = serializers.ListField(
        child=serializers.IntegerField(),
        required=False,
        help_text="Those it stands for; left out: all that are whole in it",
    )


class DismissSerializer(serializers.Serializer):
    tracks = serializers.ListField(
        child=serializers.IntegerField(),
        min_length=2,
        required=False,
        help_text="Which are no duplicates of each other; left out: all of the cluster",
    )


class UndoSerializer(serializers.Serializer):
    undo = serializers.IntegerField(help_text="Of what was kept")


class KeptCopySerializer(serializers.ModelSerializer):
    """A copy that was kept, and those that are retired for it."""

    undo = serializers.IntegerField(source="pk", help_text="To take it back, within 30 days")
    track = serializers.IntegerField(source="track_id", allow_null=True)
    retired = serializers.ListField(source="retired_ids", child=serializers.IntegerField())

    class Meta:
        model = KeptCopy
        fields = ["undo", "track", "retired", "kept_at"]
        read_only_fields = fields


def pair_json(pair: DuplicatePair) -> Any:
    """What the command prints of a pair."""
    return PairSerializer(pair).data
