"""The REST API of the spaces."""

from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import mixins, viewsets

from apps.analysis.models import Space
from apps.analysis.serializers import SpaceSerializer


@extend_schema_view(list=extend_schema(summary="List spaces"))
class SpaceViewSet(mixins.ListModelMixin, viewsets.GenericViewSet):
    """The spaces, which analyzer fills each, and how far each is."""

    queryset = Space.objects.all()
    serializer_class = SpaceSerializer
