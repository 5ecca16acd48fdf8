"""What the OpenAPI schema says of every operation."""

from typing import Any

from django.urls import get_script_prefix
from drf_spectacular.openapi import AutoSchema
from rest_framework.serializers import CharField, DictField, Serializer


class ErrorBody(Serializer):
    code = CharField(help_text="Stable, for programs")
    message = CharField(help_text="One sentence, for people")
    details = DictField(help_text="More, by field, where there is more")


class ErrorSerializer(Serializer):
    """The shape of every error."""

    error = ErrorBody()


MEANINGS = {
    "400": "The request is malformed or not valid; details say what of it",
    "401": "Nobody has logged in, or the token is not known",
    "403": "This user, or the scope of this token, may not do this",
    "404": "There is no such thing, or no such page of a list",
    "406": "No type of answer that the caller takes can be sent",
    "408": "The body came too slowly",
    "409": "It contradicts what is there, or is not there yet",
    "411": "The body does not state its length, and is too long for that",
    "413": "The body is too large, or the file in it",
    "415": "The body is of no type that can be read, or the file is no audio that can be",
    "416": "The range lies outside of the file",
    "422": "The audio cannot be used; the message says why",
    "429": "Too many requests; try again after Retry-After seconds",
    "503": "A part of the service is busy or away; try again after Retry-After seconds",
}
ANY = ("400", "404", "406", "413")
WITH_BODY = ("408", "409", "411", "415")
GUARDED = ("401", "403", "503")
BY_METHOD = {"POST": (*WITH_BODY, "422"), "PATCH": WITH_BODY, "DELETE": ("409",)}
BY_ENDING = {"/similar": ("409", "415", "422"), "/audio": ("416",), "/play-log/": ("409",)}


def name_server(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """Say below which path the addresses are, if they are below one."""
    prefix = get_script_prefix().rstrip("/")
    return result | {"servers": [{"url": prefix}]} if prefix else result


class Schema(AutoSchema):
    """Adds the errors, all of one shape, to every operation."""

    def _get_response_bodies(self, direction: Any = "response") -> Any:
        bodies = super()._get_response_bodies(direction)
        for code in self._error_codes():
            body = self._get_response_for_code(ErrorSerializer, code)
            bodies.setdefault(code, body | {"description": MEANINGS[code]})
        return bodies

    def get_tags(self) -> list[str]:
        """What an operation is about: the first word of its path, unless its view says."""
        return [self.path.removeprefix("/api/v1/").partition("/")[0]]

    def _error_codes(self) -> list[str]:
        """Those that this operation may answer, in order."""
        ending = next((codes for end, codes in BY_ENDING.items() if self.path.endswith(end)), ())
        codes = {*ANY, *BY_METHOD.get(self.method, ()), *ending}
        if self.view.authentication_classes:
            codes.update(GUARDED)
        if self.view.get_throttles():
            codes.add("429")
        return sorted(codes)
