"""The API's face of the spaces."""

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.analysis.models import Space, SpaceKind
from apps.analysis.spaces import progress_of


class ProgressSerializer(serializers.Serializer):
    queued = serializers.IntegerField()
    listening = serializers.IntegerField()
    ready = serializers.IntegerField()
    failed = serializers.IntegerField()
    percent = serializers.IntegerField()


class SpaceSerializer(serializers.ModelSerializer):
    """A space; `is_default`: it is of embeddings, and answers searches."""

    encoder = serializers.CharField(source="analyzer", read_only=True)
    is_default = serializers.SerializerMethodField()
    progress = serializers.SerializerMethodField()

    class Meta:
        model = Space
        fields = ["name", "kind", "encoder", "dimension", "state", "is_default", "progress"]

    def get_is_default(self, space: Space) -> bool:
        return space.kind == SpaceKind.EMBEDDING and space.is_active

    @extend_schema_field(ProgressSerializer)
    def get_progress(self, space: Space) -> dict[str, int]:
        user = self.context["request"].user
        return dict(ProgressSerializer(progress_of(space, by=user)).data)
