"""Any audio file -> mono float32 blocks at any rates; for the decoder process only."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import numpy as np
import soxr
from av.error import FFmpegError

from audiosearch.engine.arrays import FloatArray
from audiosearch.engine.audio.formats import FORMATS, SILENCE_PEAK, AudioInfo, sniff
from audiosearch.engine.audio.tags import RAW, own_tags, unread_tags
from audiosearch.engine.errors import (
    CorruptAudio,
    EmptyAudio,
    SilentAudio,
    TooLong,
    TooShort,
    UnsupportedAudio,
)

MIN_DURATION_MS = 100
LOUDEST = 1e6  # full scale is 1; beyond lie only damaged floats, which overflow in the resampler
FULL_CHECK_MS = 10 * 60 * 1000  # files up to this long are decoded whole before they are accepted
MIN_DECODED_SHARE = 0.5
MAX_CHANNELS = 64
SAMPLE_RATES = range(1000, 768_000 + 1)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, Any]]:
    """The container and its first audio stream; FFmpeg's errors become ours."""
    with path.open("rb") as file:
        head = file.read(12)
        file.seek(0)
        if not head:
            raise EmptyAudio("The file is empty.")
        demuxer = sniff(head)
        if demuxer is None:
            raise UnsupportedAudio(f"This is not audio we can read; send {FORMATS}.")
        try:
            container = av.open(file, "r", format=demuxer, metadata_encoding=RAW)
        except (FFmpegError, ValueError) as error:
            raise CorruptAudio("The file is damaged: its header cannot be read.") from error
        with container:
            if not container.streams.audio:
                raise UnsupportedAudio("The file holds no audio.")
            stream = container.streams.audio[0]
            if stream.codec_context is None:
                raise UnsupportedAudio(f"Its sound is coded in an unknown way; send {FORMATS}.")
            if not stream.codec_context.sample_rate or not stream.codec_context.channels:
                raise CorruptAudio("The file is damaged: it does not say how it was sampled.")
            _refuse_extremes(stream.codec_context)
            yield container, stream


def _refuse_extremes(codec: Any) -> None:
    """A header may claim anything; a second of it has to fit into memory."""
    if codec.channels > MAX_CHANNELS:
        raise UnsupportedAudio(
            f"The audio has {codec.channels} channels; at most {MAX_CHANNELS} are read."
        )
    if codec.sample_rate not in SAMPLE_RATES:
        raise UnsupportedAudio(
            f"The audio is sampled at {codec.sample_rate} Hz; from {SAMPLE_RATES[0]} to "
            f"{SAMPLE_RATES[-1]} Hz are read."
        )


def _frames(container: Any, stream: Any) -> Iterator[Any]:
    """Decoded frames; damaged packets are passed over, as players do."""
    try:
        for packet in container.demux(stream):
            try:
                yield from packet.decode()
            except FFmpegError:
                continue
    except FFmpegError:
        return


def _seek(container: Any, to_ms: int) -> None:
    """Go near a place; where the file does not let us, decoding goes on from its beginning."""
    try:
        container.seek(to_ms * 1000)
    except FFmpegError:
        container.seek(0)


class _Blocks:
    """Frames of any size gathered into mono blocks, because each NumPy call costs microseconds.

    Packed: PyAV counts the planes of a planar frame by looking for the end of a row of pointers,
    and from 8 channels on reads past it.
    """

    def __init__(self, rate: int) -> None:
        self._converter = av.AudioResampler(format="flt", rate=rate)
        self._fifo = av.AudioFifo()

    def put(self, frame: Any) -> None:
        """Raises FFmpegError or ValueError for a frame of another layout than those before."""
        for part in self._converter.resample(frame):
            part.pts = None  # gaps are not filled
            self._fifo.write(part)

    def __len__(self) -> int:
        return int(self._fifo.samples)

    def take(self) -> FloatArray:
        """All that is there as (samples,) float32, channels averaged, within LOUDEST, never NaN."""
        frame: Any = self._fifo.read()
        channels = frame.layout.nb_channels
        packed = frame.to_ndarray().reshape(-1, channels)
        with np.errstate(over="ignore", invalid="ignore"):  # of damaged floats
            samples = packed @ np.full(channels, 1 / channels, np.float32)
        if not np.abs(samples).max(initial=0.0) <= LOUDEST:  # NaN is not either
            samples = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)
            samples = samples.clip(-LOUDEST, LOUDEST)
        return samples


def _native(container: Any, stream: Any, start_ms: int) -> Iterator[FloatArray]:
    """Mono blocks of about a second at the file's own rate, from `start_ms` on."""
    rate = stream.codec_context.sample_rate
    if start_ms > 5000:
        _seek(container, max(0, start_ms - 1000))
    skip: int | None = None
    blocks = _Blocks(rate)
    for frame in _frames(container, stream):
        if skip is None:
            skip = _samples_before(frame, stream, start_ms, rate)
        try:
            blocks.put(frame)
        except (FFmpegError, ValueError):  # the layout changed inside the stream
            if blocks:
                skipped, skip = min(skip, len(blocks)), max(skip - len(blocks), 0)
                yield blocks.take()[skipped:]
            blocks = _Blocks(rate)
            blocks.put(frame)
        if len(blocks) >= rate:
            skipped, skip = min(skip, len(blocks)), max(skip - len(blocks), 0)
            yield blocks.take()[skipped:]
    if blocks:
        yield blocks.take()[skip:]


def _samples_before(frame: Any, stream: Any, start_ms: int, rate: int) -> int:
    """How many samples lie between the first decoded frame and `start_ms`."""
    first = float(frame.time or 0.0)
    if stream.start_time and stream.time_base:
        first -= float(stream.start_time * stream.time_base)
    return max(0, round((start_ms / 1000 - max(0.0, first)) * rate))


def stream_rates(
    path: Path, sample_rates: Sequence[int], *, start_ms: int = 0, end_ms: int | None = None
) -> Iterator[tuple[int, FloatArray]]:
    """The audio of a file as successive mono blocks of about a second, in constant memory.

    Yields (rate, samples (n,) float32) between start_ms and end_ms: each block once for every rate
    (Hz) of `sample_rates`, in their order. The file is decoded once, whatever their number.
    Raises UnsupportedAudio, EmptyAudio or CorruptAudio.
    """
    with _opened(path) as (container, source):
        native = source.codec_context.sample_rate
        left = None if end_ms is None else (end_ms - start_ms) * native // 1000
        resamplers = [
            (rate, soxr.ResampleStream(native, rate, 1, dtype="float32", quality="HQ"))
            for rate in sample_rates
        ]
        for block in _native(container, source, start_ms):
            if left is not None:
                block, left = block[:left], max(0, left - len(block))
            for rate, resampler in resamplers:
                yield rate, resampler.resample_chunk(block)
            if left == 0:
                break
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
    with _opened(path) as (container, source):
        rate = source.codec_context.sample_rate
        channels = source.codec_context.channels
        tags = own_tags(container, source, unread)
        name = _format_name(container, source)
        told_ms = _told_duration_ms(container, source)
        if told_ms and told_ms > max_duration_ms:
            raise TooLong(_too_long(told_ms, max_duration_ms))
        whole = told_ms is None or (thorough and told_ms <= FULL_CHECK_MS)
        samples, peak = 0, 0.0
        for block in _native(container, source, 0):
            beat()
            samples += len(block)
            peak = max(peak, float(np.abs(block).max(initial=0.0)))
            if samples * 1000 > max_duration_ms * rate:
                raise TooLong(_too_long(samples * 1000 // rate, max_duration_ms))
            if not whole and (peak > SILENCE_PEAK or samples * 1000 > FULL_CHECK_MS * rate):
                break
        heard_ms = samples * 1000 // rate
    silent = peak <= SILENCE_PEAK and (whole or heard_ms <= FULL_CHECK_MS)
    _refuse_unusable(heard_ms, told_ms if whole else None, silent=silent)
    if thorough and not whole and told_ms:
        _refuse_cut_off(path, told_ms)
    duration_ms = heard_ms if whole else max(told_ms or 0, heard_ms)
    return AudioInfo(name, duration_ms, rate, channels, tags)


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
    """Raise CorruptAudio when a long file has no sound where its second half should end."""
    near_end = told_ms * 9 // 10
    with _opened(path) as (container, source):
        if not any(len(block) for block in _native(container, source, near_end)):
            raise CorruptAudio(
                f"The file is damaged: it should last {told_ms // 1000} s, and ends earlier."
            )


def _too_long(duration_ms: int, max_duration_ms: int) -> str:
    return (
        f"The audio lasts over {duration_ms // 1000} s; the limit is {max_duration_ms // 1000} s."
    )


def _told_duration_ms(container: Any, source: Any) -> int | None:
    """What the header says the duration is, in ms; None when it does not say."""
    if source.duration and source.time_base:
        return max(0, int(source.duration * source.time_base * 1000))
    if container.duration:
        return max(0, int(container.duration / 1000))
    return None


def _format_name(container: Any, source: Any) -> str:
    codec = source.codec_context.codec.canonical_name
    by_demuxer = {"wav": "WAV", "aiff": "AIFF", "flac": "FLAC", "mp3": "MP3", "aac": "AAC"}
    demuxer = container.format.name.split(",")[0]
    if demuxer in by_demuxer:
        return by_demuxer[demuxer]
    if demuxer == "ogg":
        return {"vorbis": "Ogg Vorbis", "opus": "Opus"}.get(codec, f"Ogg {codec}")
    if demuxer == "matroska":
        return f"WebM {codec}"
    return "MP4" if container.streams.video else f"M4A {codec}"
