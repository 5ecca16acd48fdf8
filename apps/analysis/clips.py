"""Reading what somebody asks with: no more of it than is asked for, and not for long."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from django.conf import settings

from apps.access.visitors import visitor_left
from audiosearch.engine.arrays import FloatArray
from audiosearch.engine.audio.formats import SILENCE_PEAK
from audiosearch.engine.audio.sandbox import stream_rates
from audiosearch.engine.errors import AudioError, CorruptAudio, SilentAudio, TooLong, TooShort


class InvalidStretch(AudioError):
    """start_ms and end_ms do not choose anything of this audio."""

    code = "invalid_stretch"


class Left(AudioError):
    """Who asked waits no more; nobody reads this."""

    code = "left"


class Sound:
    """A stretch of an audio file that is asked with: decoded once for all `rates` (Hz), if ever.

    stretch: what `decode_rates` takes. Several threads may ask for its samples.
    """

    def __init__(self, path: Path, rates: Sequence[int], **stretch: Any) -> None:
        self._path, self._rates, self._stretch = path, rates, stretch
        self._decoded: dict[int, FloatArray] = {}
        self._lock = Lock()

    @property
    def start_ms(self) -> int:
        """Where in the file the stretch begins."""
        return int(self._stretch.get("start_ms") or 0)

    @property
    def duration_ms(self) -> int | None:
        """How long the stretch is; None until it is decoded."""
        return next((len(found) * 1000 // rate for rate, found in self._decoded.items()), None)

    def samples(self, rate: int) -> FloatArray:
        """(n,) float32 mono at one of the rates. Raises what `decode_rates` raises."""
        with self._lock:
            if not self._decoded:
                self._decoded = decode_rates(self._path, self._rates, **self._stretch)
        return self._decoded[rate]


def decode_clip(path: Path, rate: int, **stretch: Any) -> FloatArray:
    """`decode_rates` for one rate: (n,) float32 mono."""
    return decode_rates(path, (rate,), **stretch)[rate]


def decode_rates(
    path: Path,
    rates: Sequence[int],
    *,
    most_s: int,
    too_long: str = "",
    start_ms: int = 0,
    end_ms: int | None = None,
) -> dict[int, FloatArray]:
    """The stretch of an audio file from start_ms to end_ms, (n,) float32 mono at each rate (Hz).

    Nothing behind the stretch is decoded, nor behind `most_s` of it. Raises an AudioError that says
    what is wrong: TooLong with the sentence `too_long`, TooCostly when it takes too much time.
    """
    if end_ms is not None and end_ms <= start_ms:
        raise InvalidStretch(f"The stretch from {start_ms} to {end_ms} ms holds nothing.")
    enough_ms = start_ms + most_s * 1000 + 10  # a little more tells that it is too long
    end_ms = enough_ms if end_ms is None else min(end_ms, enough_ms)
    budget = settings.QUERY_DECODE_BUDGET
    blocks = stream_rates(path, rates, start_ms=start_ms, end_ms=end_ms, budget=budget)
    read: dict[int, list[FloatArray]] = {rate: [np.zeros(0, np.float32)] for rate in rates}
    with closing(blocks):
        for rate, block in _while_awaited(blocks):
            read[rate].append(block)
    decoded = {rate: np.concatenate(read.pop(rate)) for rate in rates}
    _refuse_unusable(decoded[rates[0]], rates[0], start_ms, most_s, too_long)
    return decoded


def _refuse_unusable(
    samples: FloatArray, rate: int, start_ms: int, most_s: int, too_long: str
) -> None:
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


def _while_awaited(
    blocks: Iterator[tuple[int, FloatArray]],
) -> Iterator[tuple[int, FloatArray]]:
    for block in blocks:
        if visitor_left():
            raise Left("Nobody waits for this any more.")
        yield block
