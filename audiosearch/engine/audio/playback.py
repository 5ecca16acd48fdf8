"""What browsers play as it is, and a copy of what they don't; for the decoder process only.

The copy is FLAC: every browser has played it since Safari 11 (2017), while Safari plays Ogg and
Opus since 18.4 only; it keeps each sample in its place, which MP3's padding and priming do not; and
its length is in its header, so that players can seek by ranges.
"""

import io
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.error import FFmpegError

from audiosearch.engine.audio.opening import links_of, opened
from audiosearch.engine.audio.placed import Placed
from audiosearch.engine.audio.sound import frames
from audiosearch.engine.errors import AudioError

PLAYED = {
    "wav": (
        "audio/wav",
        {"pcm_u8", "pcm_s16le", "pcm_s24le", "pcm_f32le", "pcm_alaw", "pcm_mulaw"},
    ),
    "mp3": ("audio/mpeg", {"mp3"}),
    "aac": ("audio/aac", {"aac"}),
    "flac": ("audio/flac", {"flac"}),
    "ogg": ("audio/ogg", {"vorbis", "opus"}),
    "mov": ("audio/mp4", {"aac", "mp3"}),
    "matroska": ("audio/webm", {"vorbis", "opus"}),
}
"""By container: its type, and the codecs that Chromium, Firefox and Safari all play in it."""
PLAYED_RATES = range(8_000, 192_000 + 1)
COPY_RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
TIMED = ("mov", "matroska")
GAP_S = 0.05
OGG_PAGE = 65_307
"""The longest there is."""


def browser_type(path: Path) -> str:
    """The media type of a file that browsers play as it is; empty when they need a copy of it.

    Told by its container and codec. Raises UnsupportedAudio, EmptyAudio or CorruptAudio.
    """
    with opened(path) as (container, source):
        kind, codecs = PLAYED.get(container.format.name.split(",")[0], ("", set[str]()))
        played = (
            source.codec_context.codec.canonical_name in codecs
            and source.codec_context.sample_rate in PLAYED_RATES
            and len(container.streams.audio) == 1
        )
    return kind if played and _is_plain(path, kind) else ""


def _is_plain(path: Path, kind: str) -> bool:
    """Not a relative of the container that is read by the same code here, and not by browsers."""
    with path.open("rb") as file:
        head = file.read(OGG_PAGE)
        file.seek(0, io.SEEK_END)
        file.seek(max(file.tell() - OGG_PAGE, 0))
        tail = file.read()
    if kind == "audio/wav":
        return head.startswith(b"RIFF")  # RF64, BW64 and RIFX are not played
    if kind == "audio/webm":
        return b"webm" in head[:64]  # Matroska calls itself otherwise
    if kind == "audio/ogg":  # one stream after another: browsers stop after the first
        last = tail.rfind(b"OggS")
        return tail[last + 14 : last + 18] in set(_first_serials(head))
    return True


def _first_serials(head: bytes) -> Iterator[bytes]:
    """The numbers of the streams that an Ogg file begins with."""
    at = 0
    while head[at : at + 4] == b"OggS" and head[at + 5] & 2:
        yield head[at + 14 : at + 18]
        segments = head[at + 26]
        at += 27 + segments + sum(head[at + 27 : at + 27 + segments])


class _Sink(Placed):
    """A file that is written elsewhere: each piece is sent with its place."""

    def __init__(self, send: Callable[[int, bytes], None]) -> None:
        self._send, self._end = send, 0

    def writable(self) -> bool:
        return True

    def size(self) -> int:
        return self._end

    def write(self, data: Any) -> int:
        self._send(self.at, bytes(data))
        self.at += len(data)
        self._end = max(self._end, self.at)
        return len(data)


def write_flac(
    path: Path, send: Callable[[int, bytes], None], *, beat: Callable[[], None] = lambda: None
) -> None:
    """Send a file as FLAC of 16 bits, mono or stereo, piece by piece, each with its place.

    It is on the clock that players show: gaps between time stamps are silence. beat: called about
    once for every second of sound. Raises UnsupportedAudio, EmptyAudio or CorruptAudio.
    """
    with opened(path) as (_, source):
        codec = source.codec_context
        rate = next((one for one in COPY_RATES if one >= codec.sample_rate), COPY_RATES[-1])
        layout = "mono" if codec.channels == 1 else "stereo"
    with av.open(_Sink(send), "w", format="flac") as made:
        encoder: Any = made.add_stream("flac", rate=rate, layout=layout, format="s16")
        written = 0
        for frame in _chained(path, layout, rate):
            frame.pts, frame.time_base = written, Fraction(1, rate)
            beats = written // rate
            written += frame.samples
            made.mux(encoder.encode(frame))
            for _ in range(written // rate - beats):
                beat()
        made.mux(encoder.encode(None))


def _chained(path: Path, layout: str, rate: int) -> Iterator[Any]:
    """Frames of all the containers that a file is a chain of; a damaged link is passed over."""
    for part in links_of(path):
        try:
            with opened(path, part) as (container, source):
                yield from _converted(container, source, layout, rate)
        except AudioError:
            continue


def _converted(container: Any, source: Any, layout: str, rate: int) -> Iterator[Any]:
    """Frames as the copy has them, though the stream may pause and change on its way."""
    converter = av.AudioResampler(format="s16", layout=layout, rate=rate)
    sent = 0
    for frame in frames(container, source):
        for silence in _silence_before(frame, container, sent, layout, rate):
            sent += silence.samples
            yield silence
        frame.pts = None
        try:
            parts = converter.resample(frame)
        except (FFmpegError, ValueError):  # another rate or layout
            parts = converter.resample(None)
            converter = av.AudioResampler(format="s16", layout=layout, rate=rate)
            parts += converter.resample(frame)
        sent += sum(part.samples for part in parts)
        yield from parts
    yield from converter.resample(None)


def _silence_before(frame: Any, container: Any, sent: int, layout: str, rate: int) -> Iterator[Any]:
    """Second by second, where the time stamps of a container that has them leave a gap."""
    last_s = (container.duration or 0) / av.time_base + 1
    if container.format.name.split(",")[0] not in TIMED or not 0 < (frame.time or 0) < last_s:
        return
    missing = round(frame.time * rate) - sent
    while missing > GAP_S * rate:
        samples = min(missing, rate)
        zeros = np.zeros((1, samples * (1 if layout == "mono" else 2)), np.int16)
        silence = av.AudioFrame.from_ndarray(zeros, format="s16", layout=layout)
        silence.sample_rate = rate
        missing -= samples
        yield silence
