"""Any audio file -> mono float32 blocks at any rates; for the decoder process only."""

import math
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import soxr

from audiosearch.engine.arrays import FloatArray
from audiosearch.engine.audio.choice import stream_of
from audiosearch.engine.audio.containers import Part, locate
from audiosearch.engine.audio.formats import AudioInfo, format_name
from audiosearch.engine.audio.opening import FULL_CHECK_MS, links_of, opened, peak_of, silence_peak
from audiosearch.engine.audio.sound import Sound, is_exact, packets
from audiosearch.engine.audio.tags import own_tags, unread_tags
from audiosearch.engine.errors import (
    AudioError,
    CorruptAudio,
    EmptyAudio,
    SilentAudio,
    TooLong,
    TooShort,
    UnsupportedAudio,
)

MIN_DURATION_MS = 100
MIN_DECODED_SHARE = 0.5
ATTACHED_PICTURE = 0x400  # a disposition of FFmpeg
PACKETS_A_BEAT = 20_000
TOLD = frozenset(("wav", "w64", "aiff", "caf", "au", "flac", "mov"))
"""Containers whose header knows how long each stream is; what others say is an estimate."""


def _heard(path: Path, start_s: float) -> Iterator[tuple[int, FloatArray]]:
    """`Sound.blocks` of all the containers that a file is a chain of."""
    parts = links_of(path)
    begun, problem = False, None
    for part in parts:
        try:
            with opened(path, part) as (container, stream):
                sound = Sound(container, stream, start_s)
                begun = True
                yield from sound.blocks()
                start_s = max(0.0, start_s - sound.clock.at)
        except AudioError as error:  # another link may be whole
            problem = error
    if problem and not begun:
        raise problem


def stream_rates(
    path: Path, sample_rates: Sequence[int], *, start_ms: int = 0, end_ms: int | None = None
) -> Iterator[tuple[int, FloatArray]]:
    """The audio of a file as successive mono blocks of about a second, in constant memory.

    Yields (rate, samples (n,) float32) between start_ms and end_ms: each block once for every rate
    (Hz) of `sample_rates`, in their order. The file is decoded once, whatever their number.
    Raises UnsupportedAudio, EmptyAudio or CorruptAudio.
    """
    left = None if end_ms is None else Fraction(end_ms - start_ms, 1000)
    resamplers: list[tuple[int, soxr.ResampleStream]] = []
    native = 0
    for heard, block in _heard(path, start_ms / 1000):
        if heard != native:
            yield from _rest(resamplers)
            native = heard
            resamplers = [
                (rate, soxr.ResampleStream(native, rate, 1, dtype="float32", quality="HQ"))
                for rate in sample_rates
            ]
        if left is not None:
            block = block[: int(left * native)]
            left -= Fraction(len(block), native)
        for rate, resampler in resamplers:
            yield rate, resampler.resample_chunk(block)
        if left is not None and left * native < 1:
            break
    yield from _rest(resamplers)


def _rest(
    resamplers: Sequence[tuple[int, soxr.ResampleStream]],
) -> Iterator[tuple[int, FloatArray]]:
    for rate, resampler in resamplers:
        yield rate, resampler.resample_chunk(np.zeros(0, np.float32), last=True)


def inspect(
    path: Path,
    *,
    max_duration_ms: int,
    thorough: bool = True,
    beat: Callable[[], None] = lambda: None,
) -> AudioInfo:
    """What the file is, after making sure that it can be listened to; `beat` tells of progress.

    Files up to ten minutes (and files that do not say how long they are) are decoded whole,
    longer ones until something is heard, for ten minutes at most; thorough=False always stops so.
    Raises the AudioError that says what is wrong: unsupported, empty, corrupt, too short,
    too long or silent.
    """
    with path.open("rb") as file:
        unread = unread_tags(file)
    with opened(path) as (container, source):
        rate = source.codec_context.sample_rate
        channels = source.codec_context.channels
        silence = silence_peak(source)
        tags = own_tags(container, source, unread)
        name = _format_name(path, container, source)
        stream = _number_of(path, container, source)
        told_ms = _told_duration_ms(container, source)
        exact = told_ms is not None and is_exact(container, source)
    if told_ms and exact and told_ms > max_duration_ms:
        raise TooLong(_too_long(told_ms, max_duration_ms))
    length_ms = told_ms if exact else _measured_ms(path, max_duration_ms, beat)
    whole = length_ms is None or (thorough and length_ms <= FULL_CHECK_MS)
    heard, peak = Fraction(0), 0.0
    for native, block in _heard(path, 0.0):
        beat()
        heard += Fraction(len(block), native)
        peak = max(peak, peak_of(block))
        if heard * 1000 > max_duration_ms:
            raise TooLong(_too_long(int(heard * 1000), max_duration_ms))
        if not whole and (peak > silence or heard * 1000 > FULL_CHECK_MS):
            break
    heard_ms = int(heard * 1000)
    silent = peak <= silence and (whole or heard_ms <= FULL_CHECK_MS)
    _refuse_unusable(heard_ms, told_ms if whole else None, silent=silent)
    if thorough and not whole and told_ms:
        _refuse_cut_off(path, told_ms)
    duration_ms = heard_ms if whole else max(length_ms or 0, heard_ms)
    return AudioInfo(name, duration_ms, rate, channels, tags, stream)


def _number_of(path: Path, container: Any, source: Any) -> int | None:
    """The number of a sound track among several. Of a chain it holds only if it was chosen."""
    streams = list(container.streams.audio)
    if len(streams) < 2 or not (stream_of(path) or len(links_of(path)) == 1):
        return None
    return [stream.index for stream in streams].index(source.index)


def _measured_ms(path: Path, max_duration_ms: int, beat: Callable[[], None]) -> int | None:
    """How long the packets of a file last, without decoding them; None when they do not say.

    Headers and bit rates only estimate it. Raises TooLong.
    """
    total_s, number = 0.0, 0
    parts = links_of(path)
    for part in parts:
        try:
            with opened(path, part) as (container, stream):
                sound = Sound(container, stream)
                for packet in packets(container, stream):
                    number += 1
                    if number % PACKETS_A_BEAT == 0:
                        beat()
                    if packet.size and not sound.passed(packet, math.inf):
                        return None
                    if (total_s + sound.clock.at) * 1000 > max_duration_ms + 1000:
                        told_ms = int((total_s + sound.clock.at) * 1000)
                        raise TooLong(_too_long(told_ms, max_duration_ms))
                total_s += sound.clock.at
        except (EmptyAudio, UnsupportedAudio, CorruptAudio):
            if len(parts) < 2:
                raise
    return int(total_s * 1000)


def _refuse_unusable(heard_ms: int, told_ms: int | None, *, silent: bool) -> None:
    if heard_ms == 0:
        raise CorruptAudio("The file is damaged: no sound could be decoded from it.")
    if told_ms and told_ms > 1000 and heard_ms < told_ms * MIN_DECODED_SHARE:
        raise CorruptAudio(
            f"The file is damaged: only {heard_ms / 1000:.1f} s of {told_ms / 1000:.1f} s decode."
        )
    if heard_ms < MIN_DURATION_MS:
        raise TooShort(f"The audio lasts {heard_ms} ms; at least {MIN_DURATION_MS} ms are needed.")
    if silent:
        raise SilentAudio("The audio is silent from beginning to end.")


def _refuse_cut_off(path: Path, told_ms: int) -> None:
    """Raise CorruptAudio when a long file has no sound where its last tenth should be."""
    near_end_s = told_ms * 0.9 / 1000
    if not any(len(block) for _, block in _heard(path, near_end_s)):
        raise CorruptAudio(
            f"The file is damaged: it should last {told_ms // 1000} s, and ends earlier."
        )


def _too_long(duration_ms: int, max_duration_ms: int) -> str:
    return (
        f"The audio lasts over {duration_ms // 1000} s; the limit is {max_duration_ms // 1000} s."
    )


def _told_duration_ms(container: Any, source: Any) -> int | None:
    """What the header says the duration of the stream is, in ms; None when it only estimates."""
    if container.format.name.split(",")[0] not in TOLD or not source.duration:
        return None
    return max(0, int(source.duration * source.time_base * 1000))


def _format_name(path: Path, container: Any, source: Any) -> str:
    with path.open("rb") as file:
        part = locate(file) or Part("")
        file.seek(part.start)
        webm = b"webm" in file.read(100)
    pictures = any(
        not int(stream.disposition) & ATTACHED_PICTURE for stream in container.streams.video
    )
    return format_name(
        "wav" if part.head else container.format.name.split(",")[0],
        source.codec_context.codec.canonical_name,
        brand=container.metadata.get("major_brand", ""),
        pictures=pictures,
        webm=webm,
    )
