"""Any audio file -> mono float32 blocks at any rates; for the decoder process only."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import av
import numpy as np
import soxr
from av.error import FFmpegError
from av.stream import Discard

from audiosearch.engine.arrays import FloatArray
from audiosearch.engine.audio.channels import Mixer
from audiosearch.engine.audio.clock import Clock
from audiosearch.engine.audio.containers import CODECS, Part, locate, open_part, parts_of
from audiosearch.engine.audio.formats import FORMATS, SILENCE_PEAK, AudioInfo, format_name
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
LOUDEST = 1e6  # full scale is 1; beyond lie only damaged floats, which overflow in the resampler
FULL_CHECK_MS = 10 * 60 * 1000  # files up to this long are decoded whole before they are accepted
MIN_DECODED_SHARE = 0.5
MAX_CHANNELS = 64
SAMPLE_RATES = range(1000, 768_000 + 1)
DEFAULT, ATTACHED_PICTURE = 0x1, 0x400  # dispositions of FFmpeg
PREROLL_S = 1.0
MOST_LINKS = 1000
PACKETS_A_BEAT = 20_000
EXACT = frozenset(("wav", "w64", "aiff", "caf", "au", "flac"))
"""Containers that say, for each sample of PCM or FLAC, where it lies."""
TOLD = frozenset(("wav", "w64", "aiff", "caf", "au", "flac", "mov"))
"""Containers whose header knows how long each stream is; what others say is an estimate."""
LOSSLESS = frozenset(("alac", "ape", "flac", "mlp", "shorten", "tak", "truehd", "tta", "wavpack"))


@contextmanager
def _opened(
    path: Path, part: Part | None = None, index: int | None = None
) -> Iterator[tuple[Any, Any]]:
    """The container and the audio stream to be heard of it; FFmpeg's errors become ours."""
    with path.open("rb") as file:
        if not file.read(1):
            raise EmptyAudio("The file is empty.")
        part = part or locate(file)
        if part is None:
            raise UnsupportedAudio(f"This is not audio we can read; send {FORMATS}.")
        try:
            container = open_part(file, part)
        except (FFmpegError, ValueError) as error:
            raise CorruptAudio("The file is damaged: its header cannot be read.") from error
        with container:
            stream = _chosen(path, part, container, index)
            for other in container.streams:
                if other.index != stream.index:
                    other.discard = Discard.all
            yield container, stream


def _chosen(path: Path, part: Part, container: Any, index: int | None) -> Any:
    """The stream number `index`; else the default one, unless it is silent and another is not."""
    if index is not None:
        return container.streams[index]
    streams = []
    problem: AudioError = UnsupportedAudio("The file holds no audio.")
    for stream in container.streams.audio:
        try:
            _refuse_unknown(stream)
        except AudioError as error:
            problem = error
        else:
            streams.append(stream)
    if not streams:
        raise problem
    streams.sort(key=lambda stream: not int(stream.disposition) & DEFAULT)
    if len(streams) > 1:
        for stream in streams:
            if _sounds(path, part, stream.index):
                return stream
    return streams[0]


def _sounds(path: Path, part: Part, index: int) -> bool:
    """Whether something sounds in the first ten minutes of a stream."""
    heard_s = 0.0
    with _opened(path, part, index) as (container, stream):
        for rate, block in _Sound(container, stream).blocks():
            if _peak(block) > _silence_peak(stream):
                return True
            heard_s += len(block) / rate
            if heard_s * 1000 > FULL_CHECK_MS:
                break
    return False


def _refuse_unknown(stream: Any) -> None:
    codec = stream.codec_context
    if codec is None or codec.codec.canonical_name not in CODECS:
        raise UnsupportedAudio(f"Its sound is coded in an unknown way; send {FORMATS}.")
    if not codec.sample_rate or not codec.channels:
        raise CorruptAudio("The file is damaged: it does not say how it was sampled.")
    _refuse_extremes(codec)


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
    for packet in _packets(container, stream):
        yield from _decoded(packet)


def _packets(container: Any, stream: Any) -> Iterator[Any]:
    try:
        yield from container.demux(stream)
    except FFmpegError:
        return


def _decoded(packet: Any) -> Iterator[Any]:
    try:
        yield from packet.decode()
    except FFmpegError:
        return


class _Blocks:
    """Frames of any size gathered into mono blocks, because each NumPy call costs microseconds.

    Packed: PyAV counts the planes of a planar frame by looking for the end of a row of pointers,
    and from 8 channels on reads past it.
    """

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self._converter = av.AudioResampler(format="flt", rate=rate)
        self._fifo = av.AudioFifo()
        self._mixer: Mixer | None = None

    def put(self, frame: Any) -> None:
        """Raises FFmpegError or ValueError for a frame of another layout than those before."""
        for part in self._converter.resample(frame):
            part.pts = None  # `Clock` has seen to gaps
            self._fifo.write(part)

    def __len__(self) -> int:
        return int(self._fifo.samples)

    def take(self) -> FloatArray:
        """All that is there as (samples,) float32, mixed to mono, within LOUDEST, never NaN."""
        frame: Any = self._fifo.read()
        channels = frame.layout.nb_channels
        packed = frame.to_ndarray().reshape(-1, channels)
        if not np.abs(packed).max(initial=0.0) <= LOUDEST:  # NaN is not either
            packed = np.nan_to_num(packed, nan=0.0, posinf=0.0, neginf=0.0)
            packed = packed.clip(-LOUDEST, LOUDEST)
        self._mixer = self._mixer or Mixer(channels)
        return self._mixer.mix(packed)


class _Sound:
    """One stream from `start_s` on, on the player's clock; `clock.at` is where it has come to."""

    def __init__(self, container: Any, stream: Any, start_s: float = 0.0) -> None:
        self._container, self._stream = container, stream
        self._start_s = start_s
        self.clock = Clock(container, stream)
        self._out_s = 0.0  # where the next sample lies that is put out
        self._over = 0  # samples to leave out, as their time has passed

    def blocks(self) -> Iterator[tuple[int, FloatArray]]:
        """Mono blocks of about a second at the stream's own rate, and this rate in Hz."""
        blocks: _Blocks | None = None
        for frame in self._frames():
            if frame.sample_rate not in SAMPLE_RATES:
                continue
            gap = self.clock.gap_before(frame.time)
            blocks = blocks or _Blocks(frame.sample_rate)
            if gap or blocks.rate != frame.sample_rate:
                yield from self._taken(blocks)
                yield from self._silence(gap, frame.sample_rate)
                if gap < 0:
                    self._over += round(-gap * frame.sample_rate)
                if blocks.rate != frame.sample_rate:
                    blocks = _Blocks(frame.sample_rate)
            try:
                blocks.put(frame)
            except (FFmpegError, ValueError):  # the layout changed inside the stream
                yield from self._taken(blocks)
                blocks = _Blocks(frame.sample_rate)
                blocks.put(frame)
            self.clock.at += gap + frame.samples / frame.sample_rate
            if len(blocks) >= blocks.rate:
                yield from self._taken(blocks)
        if blocks:
            yield from self._taken(blocks)

    def _taken(self, blocks: _Blocks) -> Iterator[tuple[int, FloatArray]]:
        if len(blocks):
            block = blocks.take()
            over, self._over = min(self._over, len(block)), max(self._over - len(block), 0)
            yield from self._from_start(block[over:], blocks.rate)

    def _silence(self, gap_s: float, rate: int) -> Iterator[tuple[int, FloatArray]]:
        left = round(gap_s * rate)
        while left > 0:
            yield from self._from_start(np.zeros(min(left, rate), np.float32), rate)
            left -= rate

    def _from_start(self, block: FloatArray, rate: int) -> Iterator[tuple[int, FloatArray]]:
        before = max(0, round((self._start_s - self._out_s) * rate))
        self._out_s += len(block) / rate
        if before < len(block):
            yield rate, block[before:]

    def _frames(self) -> Iterator[Any]:
        """Decoded frames; of a start far off only those from a second before it."""
        from_s = self._start_s - PREROLL_S
        sought = from_s > 0 and self._sought(from_s)
        passing = from_s > 0 and not sought
        placed = from_s <= 0
        for packet in _packets(self._container, self._stream):
            if passing and self._passed(packet, from_s):
                continue
            passing = False
            for frame in _decoded(packet):
                if not placed:
                    self.clock.set_by(frame.time, passed=not sought)
                    self._out_s, placed = self.clock.at, True
                yield frame

    def _sought(self, to_s: float) -> bool:
        """Go near a place, in the formats that know exactly where each sample lies."""
        if not _is_exact(self._container, self._stream):
            return False
        try:
            self._container.seek(int(to_s * 1e6))
        except FFmpegError:
            self._container.seek(0)
        return True

    def _passed(self, packet: Any, from_s: float) -> bool:
        """Whether a packet ends before `from_s`, so that it needs no decoding."""
        if not packet.duration:
            return False
        time_s = None if packet.pts is None else float(packet.pts * packet.time_base)
        end_s = self.clock.at + self.clock.gap_before(time_s)
        end_s += float(packet.duration * packet.time_base)
        if end_s > from_s:
            return False
        self.clock.at = end_s
        return True


def _is_exact(container: Any, stream: Any) -> bool:
    codec = stream.codec_context.codec.canonical_name
    return container.format.name in EXACT and (codec == "flac" or codec.startswith("pcm_"))


def _heard(path: Path, start_s: float) -> Iterator[tuple[int, FloatArray]]:
    """`_Sound.blocks` of all the containers that a file is a chain of."""
    with path.open("rb") as file:
        parts = list(islice(parts_of(file), MOST_LINKS))
    opened, problem = False, None
    for part in parts or (None,):
        try:
            with _opened(path, part) as (container, stream):
                sound = _Sound(container, stream, start_s)
                opened = True
                yield from sound.blocks()
                start_s = max(0.0, start_s - sound.clock.at)
        except AudioError as error:  # another link may be whole
            problem = error
    if problem and not opened:
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
    longer ones until something is heard; thorough=False always stops there.
    Raises the AudioError that says what is wrong: unsupported, empty, corrupt, too short,
    too long or silent.
    """
    with _opened(path) as (container, source):
        rate = source.codec_context.sample_rate
        channels = source.codec_context.channels
        silence = _silence_peak(source)
        tags = _tags(container, source)
        name = _format_name(path, container, source)
        told_ms = _told_duration_ms(container, source)
        exact = told_ms is not None and _is_exact(container, source)
    if told_ms and exact and told_ms > max_duration_ms:
        raise TooLong(_too_long(told_ms, max_duration_ms))
    length_ms = told_ms if exact else _measured_ms(path, max_duration_ms, beat)
    whole = length_ms is None or (thorough and length_ms <= FULL_CHECK_MS)
    heard, peak = Fraction(0), 0.0
    for native, block in _heard(path, 0.0):
        beat()
        heard += Fraction(len(block), native)
        peak = max(peak, _peak(block))
        if heard * 1000 > max_duration_ms:
            raise TooLong(_too_long(int(heard * 1000), max_duration_ms))
        if not whole and peak > silence:
            break
    heard_ms = int(heard * 1000)
    _refuse_unusable(heard_ms, told_ms if whole else None, silent=peak <= silence)
    if thorough and not whole and told_ms:
        _refuse_cut_off(path, told_ms)
    duration_ms = heard_ms if whole else max(length_ms or 0, heard_ms)
    return AudioInfo(name, duration_ms, rate, channels, tags)


def _measured_ms(path: Path, max_duration_ms: int, beat: Callable[[], None]) -> int | None:
    """How long the packets of a file last, without decoding them; None when they do not say.

    Headers and bit rates only estimate it. Raises TooLong.
    """
    total_s, number = 0.0, 0
    with path.open("rb") as file:
        parts = list(islice(parts_of(file), MOST_LINKS))
    for part in parts or (None,):
        try:
            with _opened(path, part) as (container, stream):
                sound = _Sound(container, stream)
                for packet in _packets(container, stream):
                    number += 1
                    if number % PACKETS_A_BEAT == 0:
                        beat()
                    if packet.size and not sound._passed(packet, math.inf):
                        return None
                    if (total_s + sound.clock.at) * 1000 > max_duration_ms + 1000:
                        told_ms = int((total_s + sound.clock.at) * 1000)
                        raise TooLong(_too_long(told_ms, max_duration_ms))
                total_s += sound.clock.at
        except (EmptyAudio, UnsupportedAudio, CorruptAudio):
            if len(parts) < 2:
                raise
    return int(total_s * 1000)


def _peak(block: FloatArray) -> float:
    """Half the way from the lowest sample to the highest: a constant is silence, too."""
    return float(np.ptp(block)) / 2 if len(block) else 0.0


def _silence_peak(stream: Any) -> float:
    """What is no more than dither at the stream's own depth: two steps of it."""
    codec = stream.codec_context
    kind = codec.format.name.rstrip("p") if codec.format else ""
    if kind == "u8":
        return 2 / 2**7
    coded = codec.codec.canonical_name
    if kind == "s16" or not (coded in LOSSLESS or coded.startswith(("pcm_", "dsd_"))):
        return SILENCE_PEAK
    return 2 / 2**23


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


def _tags(container: Any, source: Any) -> dict[str, str]:
    """The file's own title, artist, album, comment … in lower-case keys, without NUL bytes."""
    merged = {**container.metadata, **source.metadata}
    return {
        key.lower(): value.replace("\x00", "").strip()
        for key, value in merged.items()
        if value.strip("\x00 \n")
    }
