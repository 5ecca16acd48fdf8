"""A stretch of a recording as samples, for a page that changes its key and tempo: of an hour of
music it fetches the ten seconds that it needs."""

import io
import wave

import numpy as np
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_safe

from apps.access.pages import allowed
from apps.access.permissions import may_search
from apps.analysis.clips import decode_clip
from apps.analysis.turns import query_slot
from apps.catalog.recordings import sound_of
from apps.catalog.selectors import visible_tracks
from apps.catalog.streaming import moment_of
from audiosearch.engine.arrays import FloatArray
from audiosearch.engine.errors import EngineError
from audiosearch.web.errors import RETRY_AFTER_S, error_body, status_of

RATE = 32_000
LONGEST_S = 60
TOO_LONG = f"At most {LONGEST_S} s of a recording are given at once."


@require_safe
@allowed(may_search)
def stretch(request: HttpRequest, pk: int) -> HttpResponse:
    """A track from `from_ms` to `to_ms` as WAV: mono, 16 bits, RATE Hz, LONGEST_S at most.

    Without them from its beginning, and LONGEST_S of it. An error has the shape of the API's.
    """
    track = get_object_or_404(visible_tracks(request.user), pk=pk)
    start_ms = moment_of(request, "from_ms") or 0
    end_ms = moment_of(request, "to_ms") or min(start_ms + LONGEST_S * 1000, track.duration_ms)
    path = sound_of(str(track.file.name), track.stream)
    asked = {"start_ms": start_ms, "end_ms": end_ms, "most_s": LONGEST_S, "too_long": TOO_LONG}
    try:
        with query_slot():
            samples = decode_clip(path, RATE, **asked)
    except FileNotFoundError as error:
        raise Http404 from error
    except EngineError as error:
        status = status_of(error)
        headers = {"Retry-After": str(RETRY_AFTER_S)} if status == 503 else {}
        return JsonResponse(error_body(error.code, str(error)), status=status, headers=headers)
    return HttpResponse(_as_wav(samples), content_type="audio/wav")


def _as_wav(samples: FloatArray) -> bytes:
    target = io.BytesIO()
    with wave.open(target, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((samples.clip(-1, 1) * 32767).astype(np.dtype("<i2")).tobytes())
    return target.getvalue()
