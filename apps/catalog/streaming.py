"""Audio over HTTP, with the range requests that players seek with."""

import mimetypes
import re
from collections.abc import Iterator
from typing import IO

from django.core.files.storage import default_storage
from django.http import FileResponse, HttpRequest, JsonResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.http import content_disposition_header

CHUNK = 256 * 1024
CONTENT_TYPES = {
    ".wav": "audio/wav",
    ".wave": "audio/wav",
    ".flac": "audio/flac",
    ".mp3": "audio/mpeg",
    ".ogg": "audio/ogg",
    ".oga": "audio/ogg",
    ".opus": "audio/ogg",
    ".m4a": "audio/mp4",
    ".aac": "audio/aac",
    ".aif": "audio/aiff",
    ".aiff": "audio/aiff",
    ".webm": "audio/webm",
    ".mp4": "audio/mp4",
}


def audio_response(request: HttpRequest, name: str, download_as: str = "") -> HttpResponseBase:
    """The stored file `name`: whole (200), or the one range asked for (206, or 416 past its end).

    Raises FileNotFoundError when the storage does not have it.
    """
    file = default_storage.open(name, "rb")
    size = file.size
    found = re.fullmatch(r"bytes=(\d{0,18})-(\d{0,18})", request.headers.get("Range", ""))
    if found and any(found.groups()):
        response = _partial(file, size, *found.groups())
    else:
        response = FileResponse(file)
        response["Content-Length"] = str(size)
    if response.status_code == 416:
        return response
    suffix = "." + name.rpartition(".")[2].lower()
    kind = CONTENT_TYPES.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    response["Content-Type"] = kind if kind.startswith("audio/") else "application/octet-stream"
    response["Accept-Ranges"] = "bytes"
    response["Cache-Control"] = "private, max-age=3600"
    response["Content-Disposition"] = content_disposition_header(
        bool(download_as), download_as
    ) or ("inline")
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response


def _partial(file: IO[bytes], size: int, first: str, last: str) -> HttpResponseBase:
    if first:
        start, end = int(first), min(int(last or size - 1), size - 1)
    else:
        start, end = max(0, size - int(last)), size - 1
    if start > end:
        file.close()
        message = f"The range lies outside of the file's {size} bytes."
        body = {"error": {"code": "range_not_satisfiable", "message": message, "details": {}}}
        return JsonResponse(body, status=416, headers={"Content-Range": f"bytes */{size}"})
    length = end - start + 1
    response = StreamingHttpResponse(_read(file, start, length), status=206)
    response["Content-Range"] = f"bytes {start}-{end}/{size}"
    response["Content-Length"] = str(length)
    return response


def _read(file: IO[bytes], start: int, length: int) -> Iterator[bytes]:
    with file:
        file.seek(start)
        while length > 0 and (chunk := file.read(min(CHUNK, length))):
            length -= len(chunk)
            yield chunk
