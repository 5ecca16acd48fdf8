"""Reading what somebody asks with: no more of it than is asked for, and not for long."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
from django.conf import settings

from apps.access.visitors import visitor_left
from audiosearch.engine.arrays import FloatArray
from audiosearch.engine.audio.formats import SILENCE_PEAK
from audiosearch.engine.audio.sandbox import stream
from audiosearch.engine.errors import AudioError, CorruptAudio, SilentAudio, TooLong, TooShort


class InvalidStretch(AudioError):
    """start_ms and end_ms do not choose anything of this audio."""

    code = "invalid_stretch"


class Left(AudioError):
    """Who asked waits no more; nobody reads this."""

    code = "left"


def decode_clip(
    path: Path,
    rate: int,
    *,
    most_s: int,
    too_long: str = "",
    start_ms: int = 0,
    end_ms: int | None = None,
) -> FloatArray:
    """The stretch of an audio file from start_ms to end_ms, (n,) float32 mono at `rate` Hz.

    Nothing behind the stretch is decoded, nor behind `most_s` of it. Raises an AudioError that says
    what is wrong: TooLong with the sentence `too_long`, TooCostly when it takes too much time.
    """
    if end_ms is not None and end_ms <= start_ms:
        raise InvalidStretch(f"The stretch from {start_ms} to {end_ms} ms holds nothing.")
    enough_ms = start_ms + most_s * 1000 + 10  # a little more tells that it is too long
    end_ms = enough_ms if end_ms is None else min(end_ms, enough_ms)
    budget = settings.QUERY_DECODE_BUDGET
    blocks = stream(path, rate, start_ms=start_ms, end_ms=end_ms, budget=budget)
    with closing(blocks):
        samples = np.concatenate([np.zeros(0, np.float32), *_while_awaited(blocks)])
    if not len(samples) and start_ms:
        raise InvalidStretch(
            f"The stretch from {start_ms} ms on holds nothing: the audio ends before it."
        )
    if not len(samples):
        raise CorruptAudio("The file is damaged: no sound could be decoded from it.")
    if len(samples) * 1000 // rate > most_s * 1000:
        raise TooLong(too_long)
    if len(samples) * 10 < rate:
        raise TooShort("The audio is too short; at least 100 ms are needed.")
    if float(np.ptp(samples)) / 2 <= SILENCE_PEAK:  # a constant is silence, too
        raise SilentAudio("The audio is silent; choose another part of it, or another sound.")
    return samples


def _while_awaited(blocks: Iterator[FloatArray]) -> Iterator[FloatArray]:
    for block in blocks:
        if visitor_left():
            raise Left("Nobody waits for this any more.")
        yield block
