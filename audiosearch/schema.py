"""What the OpenAPI schema says of every operation."""

from typing import Any

from drf_spectacular.openapi import AutoSchema
from rest_framework.serializers import CharField, DictField, Serializer


class ErrorBody(Serializer):
    code = CharField(help_text="Stable, for programs")
    message = CharField(help_text="One sentence, for people")
    details = DictField(help_text="More, by field, where there is more")


class ErrorSerializer(Serializer):
    """The shape of every error."""

    error = ErrorBody()


class Schema(AutoSchema):
    """Adds the error shape to every operation."""

    def _get_response_bodies(self, direction: Any = "response") -> Any:
        bodies = super()._get_response_bodies(direction)
        body = self._get_response_for_code(ErrorSerializer, "default")
        body["description"] = "Any error"
        bodies.setdefault("default", body)
        return bodies
