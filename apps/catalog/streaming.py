"""Audio over HTTP, with the range and conditional requests that players and caches make."""

import hashlib
import mimetypes
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from django.core.files.storage import default_storage
from django.http import FileResponse, HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response
from django.utils.http import content_disposition_header, http_date, parse_http_date_safe

from apps.catalog.playback import ANYTHING, Played, as_played
from audiosearch.engine.errors import Busy
from audiosearch.web.errors import RETRY_AFTER_S

CHUNK = 256 * 1024


def moment_of(request: HttpRequest, name: str) -> int | None:
    """Milliseconds that the address says, as in `?from_ms=1500`; None where it says none."""
    told = request.GET.get(name, "")
    return int(told) if told.isascii() and told.isdecimal() and len(told) < 10 else None


def audio_response(
    request: HttpRequest, name: str, download_as: str = "", *, stream: int | None = None
) -> HttpResponseBase:
    """The stored file `name`, or a copy where browsers cannot play it, or `?flac=1` asks for one;
    to be downloaded, always the file. stream: the sound track that is heard, of a track's file.

    Whole (200), or the one range asked for (206, or 416 past its end); 304 when the asker has it.
    Raises FileNotFoundError when the storage does not have it.
    """
    try:
        copy = "flac" in request.GET
        sent = _original(name) if download_as else as_played(name, stream=stream, copy=copy)
    except Busy as error:
        body = {"error": {"code": error.code, "message": str(error), "details": {}}}
        return JsonResponse(body, status=503, headers={"Retry-After": str(RETRY_AFTER_S)})
    size = sent.path.stat().st_size
    stored_at = int(Path(default_storage.path(name)).stat().st_mtime)
    # What is stored under a name never changes, nor does what is made of it.
    mark = hashlib.sha256(f"{sent.path.name} {size}".encode()).hexdigest()[:32]
    etag = f'"{mark}"'
    response: HttpResponseBase | None = get_conditional_response(request, etag, stored_at)
    if response is None:
        response = _body(request, sent.path, size, (etag, stored_at))
    response["ETag"], response["Last-Modified"] = etag, http_date(stored_at)
    response["Cache-Control"] = "private, max-age=3600"
    if response.status_code in (200, 206):
        response["Content-Type"] = sent.media_type
        response["Accept-Ranges"] = "bytes"
        response["Content-Disposition"] = (
            content_disposition_header(bool(download_as), download_as) or "inline"
        )
        response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response


def _original(name: str) -> Played:
    kind = mimetypes.guess_type(name)[0] or ANYTHING
    path = Path(default_storage.path(name))
    return Played(path, kind if kind.startswith("audio/") else ANYTHING)


def _body(
    request: HttpRequest, path: Path, size: int, version: tuple[str, int]
) -> HttpResponseBase:
    """The part asked for, or the whole; nothing but its size for HEAD."""
    if request.method == "HEAD":
        return HttpResponse(headers={"Content-Length": str(size)})
    found = re.fullmatch(r"bytes=(\d{0,18})-(\d{0,18})", request.headers.get("Range", ""))
    if found and any(found.groups()) and _is_of(version, request.headers.get("If-Range", "")):
        return _partial(path.open("rb"), size, *found.groups())
    return FileResponse(path.open("rb"), headers={"Content-Length": str(size)})


def _is_of(version: tuple[str, int], asked: str) -> bool:
    """Whether a range is asked of this version; else the whole is sent (RFC 9110, 13.1.5)."""
    return not asked or asked == version[0] or parse_http_date_safe(asked) == version[1]


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
