"""What REST framework's parsers do not guard against."""

from typing import IO, Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser as PlainJSONParser


class JSONParser(PlainJSONParser):
    """JSON; nesting deeper than Python goes is the sender's fault."""

    def parse(self, stream: IO[Any], *args: Any, **kwargs: Any) -> dict[str, Any]:
        try:
            return super().parse(stream, *args, **kwargs)
        except RecursionError as error:
            raise ParseError("The JSON is nested too deeply.") from error
