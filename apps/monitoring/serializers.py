"""The API's face of the scans."""

from django.urls import reverse
from rest_framework import serializers

from apps.jobs.models import State
from apps.monitoring.models import Scan
from apps.search.serializers import SearchSettingsSerializer


class ScanRequestSerializer(SearchSettingsSerializer):
    """A recording, and the filters of a search, combined with "and"."""

    file = serializers.FileField(allow_empty_file=True)
    stream = serializers.CharField(
        max_length=40, required=False, help_text="Which sound track of the file, as when adding one"
    )
    top_k = None  # type: ignore[assignment]  # all that was played is told
    start_ms = None  # type: ignore[assignment]
    end_ms = None  # type: ignore[assignment]


class ScanSerializer(serializers.ModelSerializer):
    state = serializers.ChoiceField(State.choices, read_only=True)
    reason = serializers.CharField(read_only=True, help_text="Why it failed, or waits; or empty")
    filters = serializers.DictField(source="settings", read_only=True)
    scanned_ms = serializers.IntegerField(read_only=True, help_text="How far it is")
    asked_at = serializers.DateTimeField(source="queued_at", read_only=True)
    play_log = serializers.SerializerMethodField(
        help_text="Address of the play log; null until it is ready"
    )

    class Meta:
        model = Scan
        fields = (
            *("id", "name", "size_bytes", "duration_ms", "state", "reason", "scanned_ms"),
            *("filters", "asked_at", "finished_at", "play_log"),
        )
        read_only_fields = fields

    def get_play_log(self, scan: Scan) -> str | None:
        if scan.state != State.READY:
            return None
        return reverse("scan-play-log", args=[scan.pk])


class PlayedTrackSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    title = serializers.CharField()
    artist = serializers.CharField()
    album = serializers.CharField()
    duration_ms = serializers.IntegerField()


class PlaySerializer(serializers.Serializer):
    start_ms = serializers.IntegerField(help_text="In the recording")
    end_ms = serializers.IntegerField()
    track = PlayedTrackSerializer()
    track_start_ms = serializers.IntegerField(help_text="The moment in the track")
    track_end_ms = serializers.IntegerField()
    coverage = serializers.FloatField(help_text="Share of the track that was played")
    speed = serializers.FloatField(help_text="1: as fast as the track")
    probability = serializers.FloatField()
    aligned = serializers.IntegerField(help_text="Of the track's landmarks in there, agree")
    of = serializers.IntegerField(help_text="The track's landmarks in there")
    play = serializers.IntegerField(help_text="1 the first time that the track is played, 2 …")
    copies = PlayedTrackSerializer(many=True, help_text="Tracks with the same recording")


class GapSerializer(serializers.Serializer):
    start_ms = serializers.IntegerField()
    end_ms = serializers.IntegerField()


class OverlapSerializer(GapSerializer):
    plays = serializers.ListField(
        child=serializers.IntegerField(), help_text="Numbers of the plays, from 0"
    )


class PlayLogSerializer(serializers.Serializer):
    name = serializers.CharField()
    duration_ms = serializers.IntegerField()
    plays = PlaySerializer(many=True)
    gaps = GapSerializer(many=True, help_text="Nothing known, for a second or more")
    overlaps = OverlapSerializer(many=True, help_text="Several plays at once")
